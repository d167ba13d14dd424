"""
Everything that can go wrong between this program and OneLogin: what it means, and what a person does about it.

Each cause is one row of the table in ``docs/onelogin-api.md``.
"""

from types import MappingProxyType

from onelogin_connector.cause import Cause, error_of, on_the_way
from onelogin_connector.errors import ConfigError, ConnectorError, Unauthorized

CAUSES = MappingProxyType(
    {
        # configuration
        "address": Cause(
            "The API address cannot be used.",
            "Set the connector's domain, as acme.onelogin.com; api_url is for simulators and other hosts.",
            ConfigError,
        ),
        "incomplete": Cause(
            "The client id or the client secret is empty, or holds a blank or another character that none has.",
            "Copy both anew from OneLogin, under Developers > API Credentials, without line breaks or quotes.",
            ConfigError,
        ),
        # network
        **on_the_way(
            "OneLogin",
            health="OneLogin's status page",
            name="Compare the domain with the address at which OneLogin is administered, then look at this machine's "
            "name server.",
            private=Cause(
                "The host lies in a private network, where the console may not send anything.",
                "Use the public address of the OneLogin account; if a host of your own is meant, list it in "
                "allow_private_hosts under [web].",
                ConfigError,
            ),
        ),
        # authentication
        "no-account": Cause(
            "There is no OneLogin account at this address.",
            "Correct the connector's domain: it is the host at which OneLogin is administered, such as "
            "acme.onelogin.com.",
            ConfigError,
        ),
        "credential": Cause(
            "OneLogin does not accept the client id and secret.",
            "Compare them with OneLogin under Developers > API Credentials; if in doubt make a new credential with "
            "the scope Read All, and give the connector its id and secret.",
            Unauthorized,
        ),
        "forbidden": Cause(
            "OneLogin refuses to give a token to this machine.",
            "Look for a list of allowed addresses in OneLogin and add this machine's (or its proxy's); then look "
            "whether the credential is still enabled.",
            Unauthorized,
        ),
        # permission
        "scope": Cause(
            "OneLogin gave a token, but does not let it read this.",
            "Give the credential the scope Read All, under Developers > API Credentials. A list of allowed "
            "addresses can be the cause too.",
            Unauthorized,
        ),
        # any call
        "rate-limit": Cause(
            "The account's API calls are used up for now, or come too fast.",
            "It is tried again by itself. If it happens often, find which other program uses the account's 5,000 "
            "calls an hour, or lower api_budget_share.",
        ),
        "budget": Cause(
            "The connector's own share of the account's API calls is used up for now.",
            "It goes on by itself. Raise api_budget_share if no other program needs the account's calls.",
        ),
        "creator": Cause(
            "OneLogin failed with an internal error.",
            "It is tried again. If it stays so, see whether the administrator who made the credential was deleted: "
            "its calls then fail in just this way until a new credential is made.",
        ),
        "outage": Cause(
            "OneLogin cannot answer at the moment.",
            "It is tried again. See OneLogin's status page if it lasts.",
        ),
        "request": Cause(
            "OneLogin refuses the request as it is.",
            "Compare the connector's domain and api_url; if they are right, report it with the request's id. It is "
            "tried again from time to time.",
            ConfigError,
        ),
        # fetch logs
        "redirect": Cause(
            "The answer was a redirect, and none is followed, so that no token goes anywhere else.",
            "Set the domain to the host that answers itself; see whether a proxy or a sign-in page stands between.",
        ),
        "web-page": Cause(
            "The answer was a web page where data was asked for.",
            "It is tried again. A proxy, a sign-in page of the network, or maintenance at OneLogin can be the cause.",
        ),
        "too-large": Cause(
            "The answer was larger than any that OneLogin gives.",
            "See what answers in OneLogin's place: a proxy, or a wrong api_url.",
        ),
        "unreadable": Cause(
            "The answer does not have the shape that OneLogin documents.",
            "It is tried again, and nothing is passed over. If it stays so, report it with the request's id.",
        ),
        "cursor": Cause(
            "The list of events does not move on: OneLogin names a next page that is the same one, or none.",
            "It is tried again, and nothing is passed over. If it stays so, report it with the request's id.",
        ),
        "records": Cause(
            "Some events cannot be read.",
            "They will be kept as dead letters: see `onelogin-connector dead-letters list`. All others are taken.",
            ConnectorError,
        ),
    }
)
"""Name → cause."""


def trouble(cause: str, seen: str = "", *, after_seconds: float | None = None) -> ConnectorError:
    """
    Make the error of a cause.

    Args:
        cause: A name in ``CAUSES``.
        seen: What was seen this time; nothing secret, and no text of the other side that was not cleaned.
        after_seconds: The wait before the next try, where one is known.
    """
    error = error_of(CAUSES[cause], seen, after_seconds=after_seconds)
    error.code = cause
    return error
