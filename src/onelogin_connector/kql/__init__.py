"""
KQL to DuckDB SQL.
"""

from onelogin_connector.kql.compiler import Compiled, Schema, compile

__all__ = ["Compiled", "Schema", "compile"]
