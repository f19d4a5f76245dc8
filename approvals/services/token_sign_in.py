"""Whose a token is: a JWT of a registered issuer (OpenID Connect Core 1.0, RFC 7519, RFC 8725).

The signature is checked first, with a key from a configured address only; then times, by the
database's clock; then audience and claims, exactly. What a token says before its signature is
checked chooses which configured issuer is asked for keys, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from jwt.types import Options

from approvals.exceptions import IssuerUnavailable, TokenRefused
from approvals.models import WorkloadIdentity
from audit.lib import db_clock
from connectors import issuers
from connectors.issuers import KeysUnavailable, UnknownKey

LONGEST_LIFE = timedelta(hours=1)
LEEWAY = timedelta(seconds=30)
"""How far an issuer's clock may be ahead of the database's."""
_LONGEST = 8 * 1024
_UNCHECKED: Options = {"verify_signature": False}
_BY_HAND: Options = {
    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
    "verify_iss": False, "verify_sub": False, "verify_jti": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Token:
    """A token nobody has verified yet, as far as it says who to ask for keys."""

    text: str
    issuer: str
    key_id: str
    algorithm: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whose token it is, and by the database's clock when."""

    identity: WorkloadIdentity
    at: datetime


def sign_in(text: str) -> SignedIn:
    """The one registered identity whose token this is, with its agent.

    Raises TokenRefused, whose code says why, and IssuerUnavailable.
    """
    token = _read(text)
    registered = WorkloadIdentity.objects.filter(issuer=token.issuer, removed_at=None)
    known = list(registered.select_related("agent__owner").annotate(now=db_clock.now_in_query()))
    if not known:
        raise TokenRefused("No agent signs in with tokens of that issuer.", code="token_issuer")
    at: datetime = known[0].now
    found: list[WorkloadIdentity] = []
    refused: TokenRefused | IssuerUnavailable | None = None
    for keys_url in sorted({identity.keys_url for identity in known}):
        trusting = [identity for identity in known if identity.keys_url == keys_url]
        try:
            claims = _verified(token, keys_url)
            _demand_times(claims, at)
            found += _named(claims, trusting)
        except (TokenRefused, IssuerUnavailable) as error:
            refused = refused or error
    if len(found) > 1:
        raise TokenRefused("The token fits several agents, so it is nobody's.", code="token_claims")
    if found:
        return SignedIn(found[0], at)
    assert refused is not None  # noqa: S101 - one source of keys at least, and it named nobody
    raise refused


def _read(text: str) -> _Token:
    unreadable = TokenRefused("That is no signed JWT with the claims a token needs.")
    if len(text) > _LONGEST or not text.isascii():
        raise unreadable
    try:
        header = jwt.get_unverified_header(text)
        claims = jwt.decode(text, options=_UNCHECKED)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise unreadable from None
    algorithm, issuer = header.get("alg"), claims.get("iss")
    if algorithm not in issuers.ALGORITHMS:
        raise TokenRefused(
            f"Tokens are signed with {', '.join(issuers.ALGORITHMS)}, and nothing else.",
            code="token_algorithm",
        )
    key_id = header.get("kid")
    if not isinstance(issuer, str) or "crit" in header:
        raise unreadable
    if not isinstance(key_id, str) or not key_id:
        raise TokenRefused("The token does not say which key signed it (kid).", code="token_key")
    return _Token(text, issuer, key_id, algorithm)


def _verified(token: _Token, keys_url: str) -> dict[str, Any]:
    """The claims, once the signature is known to be the issuer's."""
    try:
        key = issuers.signing_key(
            token.issuer, keys_url, key_id=token.key_id, algorithm=token.algorithm
        )
        return jwt.decode(token.text, key=key, algorithms=[token.algorithm], options=_BY_HAND)
    except KeysUnavailable:
        raise IssuerUnavailable(
            "The issuer's keys cannot be fetched now. Try again.", retry_after=issuers.ASK_EVERY
        ) from None
    except UnknownKey:
        raise TokenRefused(
            "The issuer has no such key for that algorithm. Its keys are looked up again at most "
            "once a minute.",
            code="token_key",
        ) from None
    except jwt.PyJWTError:
        raise TokenRefused(
            "The token's signature is not its issuer's.", code="token_signature"
        ) from None


def _demand_times(claims: dict[str, Any], now: datetime) -> None:
    """Valid now, and not for longer than LONGEST_LIFE."""
    issued, ends = _seconds(claims, "iat"), _seconds(claims, "exp")
    begins = _seconds(claims, "nbf") if "nbf" in claims else issued
    at = now.timestamp()
    if ends <= at:
        raise TokenRefused("The token has expired.", code="token_expired")
    if max(issued, begins) > at + LEEWAY.total_seconds():
        raise TokenRefused("The token is not valid yet.", code="token_not_yet_valid")
    if ends - issued > LONGEST_LIFE.total_seconds():
        raise TokenRefused(
            "The token lives for longer than an hour: have one issued for each run.",
            code="token_too_long_lived",
        )


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TokenRefused(f"The token needs the claim {name}, in seconds.")
    return value


def _named(
    claims: dict[str, Any], identities: Sequence[WorkloadIdentity]
) -> list[WorkloadIdentity]:
    """Those whose audience and claims these are; one for several audiences is for none."""
    said = claims.get("aud")
    audience = said[0] if isinstance(said, list) and len(said) == 1 else said
    addressed = [one for one in identities if one.audience == audience]
    if not addressed:
        raise TokenRefused(
            "The token is not for the audience that was registered, and for it alone.",
            code="token_audience",
        )
    found = [one for one in addressed if one.is_named_by(claims)]
    if not found:
        raise TokenRefused("Its claims are not those of any agent.", code="token_claims")
    return found
