"""
The local analytic database: every event once, queryable by KQL.
"""

from onelogin_connector.store.analyst import Column, Result
from onelogin_connector.store.store import Store

__all__ = ["Column", "Result", "Store"]
