"""
OneLogin audit events, complete and once, where a security team works.
"""

__version__ = "0.1.0"
