"""
The local analytic database: every event once, queryable by KQL.
"""

from onelogin_connector.store.analyst import Column, Result
from onelogin_connector.store.completeness import HourFigures, Swept
from onelogin_connector.store.ledgers import Line
from onelogin_connector.store.store import Store
from onelogin_connector.store.users import UsersMark

__all__ = ["Column", "HourFigures", "Line", "Result", "Store", "Swept", "UsersMark"]
