"""
The durable, ordered log of entries.
"""
