"""
The addresses of ``/api/v1`` in one table, each with the role it needs; a test walks it.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from onelogin_connector.web import connectors, sinks
from onelogin_connector.web.access import Role
from onelogin_connector.web.api import Api

Call = Callable[[Api, Request], Awaitable[Response]]


class Endpoint(NamedTuple):
    """
    One address, and who may use it.
    """

    method: str
    path: str
    role: Role
    call: Call


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/api/v1/status", Role.VIEWER, Api.status),
    Endpoint("GET", "/api/v1/connectors", Role.VIEWER, connectors.connectors),
    Endpoint("POST", "/api/v1/connectors", Role.ADMIN, connectors.make_connector),
    Endpoint("POST", "/api/v1/connectors/test", Role.ADMIN, connectors.try_connector),
    Endpoint("GET", "/api/v1/connectors/{id}", Role.VIEWER, connectors.connector),
    Endpoint("PUT", "/api/v1/connectors/{id}", Role.ADMIN, connectors.replace_connector),
    Endpoint("DELETE", "/api/v1/connectors/{id}", Role.ADMIN, connectors.remove_connector),
    Endpoint("POST", "/api/v1/connectors/{id}/check", Role.OPERATOR, Api.check_one),
    Endpoint("POST", "/api/v1/connectors/{id}/backfill", Role.OPERATOR, Api.backfill),
    Endpoint("POST", "/api/v1/connectors/{id}/token", Role.ADMIN, Api.webhook_token),
    Endpoint("POST", "/api/v1/sinks", Role.ADMIN, sinks.make_sink),
    Endpoint("POST", "/api/v1/sinks/test", Role.ADMIN, sinks.try_sink),
    Endpoint("PUT", "/api/v1/sinks/{id}", Role.ADMIN, sinks.replace_sink),
    Endpoint("DELETE", "/api/v1/sinks/{id}", Role.ADMIN, sinks.remove_sink),
    Endpoint("GET", "/api/v1/completeness", Role.VIEWER, Api.completeness),
    Endpoint("POST", "/api/v1/query", Role.VIEWER, Api.query),
    Endpoint("GET", "/api/v1/dead-letters", Role.VIEWER, Api.dead_letters),
    Endpoint("POST", "/api/v1/dead-letters/replay", Role.OPERATOR, Api.replay),
    Endpoint("POST", "/api/v1/dead-letters/discard", Role.OPERATOR, Api.discard),
    Endpoint("GET", "/api/v1/dead-letters/{id}", Role.VIEWER, Api.dead_letter),
    Endpoint("POST", "/api/v1/import", Role.OPERATOR, Api.imports),
    Endpoint("POST", "/api/v1/check", Role.OPERATOR, Api.check),
    Endpoint("POST", "/api/v1/backup", Role.ADMIN, Api.backup),
    Endpoint("POST", "/api/v1/password", Role.ADMIN, Api.password),
    Endpoint("GET", "/api/v1/tokens", Role.ADMIN, Api.tokens),
    Endpoint("POST", "/api/v1/tokens", Role.ADMIN, Api.new_token),
    Endpoint("DELETE", "/api/v1/tokens/{id}", Role.ADMIN, Api.revoke_token),
)
