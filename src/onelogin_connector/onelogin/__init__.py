"""
What the OneLogin service is: its event types, and its API.
"""
