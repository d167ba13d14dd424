"""
The ways in: each hands events to the journal and reports what became of them.
"""
