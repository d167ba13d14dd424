"""
What each failure of a check means, at length: for the console, and for the page on troubleshooting.

A stage that fails names its cause by a code. Message and action of a cause stand where it is found, mostly in
``onelogin.causes``; here stands why it happens, in the words of somebody who has seen it before.
"""

from types import MappingProxyType

from onelogin_connector.onelogin.causes import CAUSES

WEBHOOK_TOKEN = "webhook-token"  # noqa: S105 - the name of a cause
INTAKE = "intake"
ACCOUNT = "account-taken"
TIMEOUT = "check-timeout"
SECRET_ELSEWHERE = "secret-elsewhere"  # noqa: S105 - the name of a cause
INTERNAL = "internal"

OWN_MESSAGES = MappingProxyType(
    {
        WEBHOOK_TOKEN: (
            "The webhook has no token, so it refuses every request.",
            "Make a webhook token on the connector's page, or with `onelogin-connector token`.",
        ),
        INTAKE: ("Nothing can be taken in at the moment.", "Make room on the disk of the data folder."),
        ACCOUNT: (
            "The account cannot be collected by this connector.",
            "Use a credential of the account whose webhooks come here, and one connector for each account.",
        ),
        TIMEOUT: (
            "The check was not done in time.",
            "Try again; if it stays so, look at the network between this machine and OneLogin.",
        ),
        SECRET_ELSEWHERE: (
            "The stored secret may not be sent to this host.",
            "Enter the client secret again, together with the new host.",
        ),
        INTERNAL: (
            "The check failed in a way that nobody foresaw.",
            "Try again; if it stays so, report it with the log of the program.",
        ),
    }
)
"""Code → message and action, for causes that are found outside of the calls to OneLogin."""

EXPLANATIONS = MappingProxyType(
    {
        "address": "The connector was given an API address that is no address: it has to begin with https:// and "
        "name a host. Most accounts need none, because the domain is enough.",
        "proxy-address": "The environment of the program names a proxy in a form that cannot be read, so no call can "
        "leave the machine.",
        "incomplete": "OneLogin's ids and secrets are made of printable characters without blanks. A blank or a line "
        "break comes along easily when the value is copied from a web page or an e-mail.",
        "name": "The domain could not be turned into an address. Either it is misspelt, or the name server that this "
        "machine uses does not know the internet.",
        "private": "An address that is typed into a form must not become a way into your network, so the console "
        "sends nothing to hosts that lie in private networks or on this machine, whatever their name says.",
        "connection": "The name is known, but nobody could be reached there: a firewall drops or refuses the "
        "connection, or all traffic has to go through a proxy that the program was not told of.",
        "certificate": "Something answered, but its certificate is not signed by an authority that this machine "
        "trusts, or is for another name, or is out of date. Nothing was sent to it.",
        "proxy": "Everything goes through a proxy here, and the proxy does not let this host pass, or wants a user "
        "name and a password.",
        "timeout": "The connection was made, but the answer did not come to its end in time. That is a slow or lossy "
        "line, a proxy that holds answers back, or a bad moment at OneLogin.",
        "broken": "The other side ended the connection in the middle, or speaks something other than HTTP. Proxies "
        "and load balancers do so when they give up.",
        "no-account": "OneLogin answers at this address, but not as an account does. The subdomain is probably "
        "misspelt, or belongs to another product than the administration pages.",
        "credential": "The account exists, and does not know this pair of id and secret. They may be mixed up, belong "
        "to another account, have been deleted or disabled, or their secret was made anew since.",
        "forbidden": "OneLogin knows the request but not its sender: accounts can keep a list of addresses that may "
        "use the API, and this machine (or its proxy) is not in it.",
        "scope": "The credential is right, and a token was given for it, but the token may not read events. That is a "
        "credential with a smaller scope, such as Authentication Only or Read Users.",
        "rate-limit": "All programs of one OneLogin account share one hourly allowance of API calls, and it is used "
        "up. The connector waits for as long as OneLogin asks, and then goes on.",
        "budget": "The connector takes only its share of the account's allowance, so that other programs keep theirs, "
        "and that share is used up for this hour.",
        "creator": "OneLogin reports an internal error. There is one known cause that does not pass by itself: the "
        "administrator who made the credential was deleted.",
        "outage": "OneLogin, or the edge in front of it, cannot answer at the moment. Nothing is lost: events stay "
        "at OneLogin and are fetched once it answers.",
        "request": "OneLogin answered that it does not know such a request. That happens when the address leads to "
        "something other than its API.",
        "redirect": "The answer named another address. It is not followed, because the credential would go there. "
        "Sign-in pages of networks and old domains of an account answer in this way.",
        "web-page": "Data was asked for, and a web page came: from a proxy, from the sign-in page of a network, or "
        "from OneLogin during maintenance.",
        "too-large": "No answer of OneLogin is this large, so something else answers in its place. The rest of it was "
        "not read.",
        "unreadable": "The answer is data, but not in the form that OneLogin documents. OneLogin may have changed its "
        "API, or something on the way changes answers.",
        "cursor": "OneLogin lists events page by page, and the page did not say where the next one begins. Reading on "
        "would either end too early or never.",
        "records": "The list of events was read, but some of its records are not events that this program knows how "
        "to read. Each is kept with its bytes, and none holds up the others.",
        WEBHOOK_TOKEN: "A webhook is let in by its token alone. Until one is made, OneLogin's deliveries are answered "
        "with 401 and are lost, unless an API credential brings them later.",
        INTAKE: "The journal cannot take events, mostly because the disk has reached its reserve. Senders are told to "
        "come again, and nothing that was acknowledged is lost.",
        ACCOUNT: "A OneLogin account is collected by one connector, and a connector collects one account: otherwise "
        "events would be counted twice, or be mixed up.",
        TIMEOUT: "A check ends after half a minute, so that nobody waits for ever. The stages that were done are "
        "shown; the next one was still waiting for an answer.",
        SECRET_ELSEWHERE: "A stored secret is bound to the host it was entered for. Whoever changes the host has to "
        "know the secret, so that nobody can have it sent to a place of their own.",
        INTERNAL: "The program itself made a mistake while checking. Collection goes on independently of the check.",
    }
)
"""Code → why it happens."""

STAGES = MappingProxyType(
    {
        "Configuration": ("address", "proxy-address", "incomplete", SECRET_ELSEWHERE),
        "Network": ("name", "private", "connection", "certificate", "proxy", "timeout", "broken"),
        "Authentication": ("no-account", "credential", "forbidden"),
        "Permission": ("scope", "request"),
        "Fetch Logs": ("unreadable", "cursor", "records"),
        "Account": (ACCOUNT,),
        "Webhook": (WEBHOOK_TOKEN,),
        "Listener": (INTAKE,),
        "any": (
            "rate-limit", "budget", "creator", "outage", "redirect", "web-page", "too-large", TIMEOUT, INTERNAL,
        ),
    }
)  # fmt: skip
"""Stage → the causes by which it usually fails, in the order of the documentation."""


def said(code: str) -> tuple[str, str]:
    """
    Return message and action of a cause.
    """
    if code in CAUSES:
        return CAUSES[code].meaning, CAUSES[code].action
    return OWN_MESSAGES[code]
