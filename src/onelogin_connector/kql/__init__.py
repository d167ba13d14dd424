"""
KQL to DuckDB SQL.
"""

from onelogin_connector.kql.compiler import compile
from onelogin_connector.kql.plan import Compiled, Schema

__all__ = ["Compiled", "Schema", "compile"]
