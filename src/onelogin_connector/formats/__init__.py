"""
An event as a destination wants it.
"""
