"""
What an identity provider says of somebody, believed only after every check.

An ID token is believed when one of the provider's published keys signed it with an asymmetric algorithm of the list
below, it is from this provider, for this program, of this sign-in, and of now. Nothing of it is read before its
signature was found right, except which key it names.
"""

from collections.abc import Callable, Iterable, Mapping
from hmac import compare_digest
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from msgspec import Struct

from onelogin_connector.config import Oidc
from onelogin_connector.web.access import Role
from onelogin_connector.web.answers import HttpError

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""Signatures that only the holder of a private key can make: never ``none``, never a shared secret."""

LEEWAY_SECONDS = 60
"""How far the clocks of the provider and of this machine may be apart."""

LONGEST_SUBJECT = 255  # characters, as the standard has it

Key = RSAKey | ECKey | OKPKey


class UnknownKeyError(Exception):
    """
    The token names a key that is not among those that are known.
    """


class Identity(Struct, frozen=True):
    """
    Somebody whom a provider vouches for.
    """

    issuer: str
    subject: str
    claims: dict[str, Any]


def keys_of(document: dict[str, Any]) -> list[Key]:
    """
    Return the keys of a published set that can be used to check signatures; others are left out.
    """
    found: list[Key] = []
    listed = document.get("keys")
    for each in listed if isinstance(listed, list) else []:
        if not isinstance(each, dict) or each.get("use", "sig") != "sig":
            continue
        try:
            found += [key for key in KeySet.import_key_set({"keys": [each]}).keys if isinstance(key, Key)]
        except (JoseError, ValueError, TypeError, KeyError):
            continue  # of a kind that is not known here, or broken; another may fit
    return found


def believed(
    token: str,
    keys: Iterable[Key],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    clock: Callable[[], float],
) -> Identity:
    """
    Return what an ID token says, if all is right with it.

    Args:
        issuer: As the provider's own document writes it.
        nonce: What was sent with this sign-in.

    Raises:
        UnknownKeyError: No key of the name that the token gives is known.
        HttpError: Something is not right.
    """
    claims = _verified(token, keys)
    registry = jwt.JWTClaimsRegistry(
        now=lambda: int(clock()),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        sub={"essential": True},
        aud={"essential": True, "value": client_id},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        registry.validate(claims)
    except (JoseError, ValueError, TypeError) as error:
        raise _refused(f"the token's claims do not hold ({type(error).__name__}: {_claim(error)})") from None
    audience, party = claims["aud"], claims.get("azp")
    if (isinstance(audience, list) and len(audience) > 1 and party is None) or party not in {None, client_id}:
        raise _refused("the token is for another program")
    sent = claims.get("nonce")
    if not isinstance(sent, str) or not compare_digest(sent.encode(errors="replace"), nonce.encode()):
        raise _refused("the token belongs to another sign-in")
    subject = claims["sub"]
    if not 0 < len(subject) <= LONGEST_SUBJECT:
        raise _refused("the token names nobody")
    return Identity(issuer, subject, claims)


def _verified(token: str, keys: Iterable[Key]) -> dict[str, Any]:
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, AttributeError):
        raise _refused("it sent no token that can be read") from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise _refused("the token is not signed in a way that proves anything")
    fitting = [key for key in keys if kid is None or key.kid in {None, kid}]
    if not fitting:
        raise UnknownKeyError
    for key in fitting:
        try:
            return dict(jwt.decode(token, key, algorithms=list(ALGORITHMS)).claims)
        except (JoseError, ValueError, TypeError):
            continue
    if kid is None:
        raise UnknownKeyError  # maybe signed by a key that is newer than what is known
    raise _refused("the token's signature is wrong")


def _claim(error: Exception) -> str:
    return str(getattr(error, "claim", "") or "malformed")


def _refused(why: str) -> HttpError:
    return HttpError(
        "not-signed-in",
        f"The identity provider's answer is not believed: {why}.",
        action="Sign in again. If this stays, compare [oidc] with what the provider has on this program.",
    )


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """
    Return a claim by its name, or by a path with dots such as ``realm_access.roles``; None where there is none.
    """
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def role_of(claims: Mapping[str, Any], options: Oidc) -> Role | None:
    """
    Return what somebody may do, the most of what fits; None where nothing does.
    """
    told = claim(claims, options.role_claim)
    values = (
        {told} if isinstance(told, str) else set(filter(_is_text, told)) if isinstance(told, list) else set()
    )
    for role, wanted in (
        (Role.ADMIN, options.admins),
        (Role.OPERATOR, options.operators),
        (Role.VIEWER, options.viewers),
    ):
        if values & set(wanted) or (role is Role.VIEWER and "*" in wanted):
            return role
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
