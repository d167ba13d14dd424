"""
The connector as a function app: nothing runs between two calls, and nothing is on a disk.

``front`` answers requests: what a webhook brings is in the spool before its 200. ``drain`` is called by a timer: under a lease it
takes the spool into the journal, delivers what the journal holds, and lists the Events API if that is asked for.
"""
