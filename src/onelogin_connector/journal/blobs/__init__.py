"""
A journal in a container of blobs, for a place that has no disk of its own: ``journal.BlobJournal``.

What it holds lies in **leaves**: blobs that are written once, under a name of their own, and never changed. The **head** is
the one blob that changes; it names the leaves that count, in order, and holds all that is small (checkpoints, counts, hours).
So a transaction is

1. write new leaves in place of those it changes;
2. replace the head, by its lease and in the state that was read – the commit, one call, whole or not at all;
3. remove the leaves that no longer count.

A kill before 2 leaves leaves that nobody names, which a later sweep removes; a kill after it leaves garbage that the head
lists. Whoever has lost the lease fails at 2, whatever it wrote before, so that two writers never undo each other's work.
"""
