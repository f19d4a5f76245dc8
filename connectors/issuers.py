"""The public keys of token issuers (OpenID Connect): fetched from configured addresses, cached.

Keys come from the address that was registered, or from the one the registered issuer names in its
own metadata (OpenID Connect Discovery 1.0). What a token says about keys is never followed. Every
host is one of OIDC_HOSTS.

An issuer is asked at most once in ASK_EVERY, by one process for all, and only as long as SECONDS:
one that hangs costs one thread those seconds, and nobody else anything.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Mapping

import httpx
import jwt
from django.conf import settings
from django.core.cache import cache

from audit.lib.canonical import JsonObject, digest
from connectors import outbound
from connectors.http import UnreadableAnswer, json_object
from connectors.outbound import AddressRefused, Destinations, NotSent

SECONDS = 2.0
"""How long one answer of an issuer may take in total."""
FRESH = 10 * 60
"""Seconds after which keys are fetched again when they are needed: what an issuer withdraws."""
KEPT = 60 * 60
"""Seconds for which keys count while their issuer does not answer."""
ASK_EVERY = 60
"""Seconds between two fetches, however many tokens name a key that is not known."""

_LARGEST = 256 * 1024
_MOST_KEYS = 100
_SHORTEST_RSA = 2048
_SHAPES: Mapping[str, Mapping[str, str]] = {
    "RS256": {"kty": "RSA"},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}
ALGORITHMS = tuple(_SHAPES)
"""How a token may be signed. Each takes keys of one shape, so that no key is used as another."""

_log = logging.getLogger(__name__)
_fetching: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


class KeysUnavailable(Exception):
    """There are no keys of the issuer, and it cannot be asked now."""


class UnknownKey(Exception):
    """The issuer has no such key for that algorithm, as far as is known now."""


def check_issuer(url: str) -> None:
    """Refuse what cannot be asked for keys. Raises AddressRefused."""
    outbound.check_address(url, _destinations())


def signing_key(issuer: str, keys_url: str, *, key_id: str, algorithm: str) -> jwt.PyJWK:
    """The issuer's key of that id; `keys_url` is "" where its metadata says where keys are.

    Raises KeysUnavailable, and UnknownKey, which also says that the key does not fit the algorithm.
    """
    keys = _keys(issuer, keys_url, needed=key_id)
    fitting = [key for key in keys if key.get("kid") == key_id and _fits(key, algorithm)]
    if len(fitting) != 1:
        raise UnknownKey
    try:
        key = jwt.PyJWK(dict(fitting[0]), algorithm=algorithm)
    except jwt.PyJWTError:
        raise UnknownKey from None
    if algorithm == "RS256" and key.key.key_size < _SHORTEST_RSA:
        raise UnknownKey
    return key


def _fits(key: JsonObject, algorithm: str) -> bool:
    return (
        all(key.get(name) == value for name, value in _SHAPES[algorithm].items())
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and "d" not in key  # a private key that got published is nobody's any more
    )


def _keys(issuer: str, keys_url: str, *, needed: str) -> list[JsonObject]:
    """Those that are known, fetched again when they are old or the needed one is not among them."""
    name = f"issuer-keys:{digest(f'{issuer} {keys_url}')}"
    kept: list[JsonObject] | None = cache.get(name)
    is_fresh = cache.get(f"{name}:fresh") is not None
    if kept is None or not is_fresh or all(key.get("kid") != needed for key in kept):
        kept = _refreshed(name, issuer, keys_url) or kept
    if kept is None:
        raise KeysUnavailable
    return kept


def _refreshed(name: str, issuer: str, keys_url: str) -> list[JsonObject] | None:
    """New keys; None where it is not yet time to ask again, or nobody answered."""
    lock = _fetching[name]
    if not lock.acquire(blocking=False):
        return None  # another thread is at it: this one does not wait as well
    try:
        if cache.add(f"{name}:asked", 1, timeout=ASK_EVERY) is False:
            return None  # None, a cache that is away, keeps nobody from asking
        found = _fetch(issuer, keys_url)
    except (AddressRefused, NotSent, UnreadableAnswer) as error:
        _log.warning("issuer_keys_not_fetched", extra={"issuer": issuer, "reason": str(error)})
        return None
    finally:
        lock.release()
    cache.set(name, found, timeout=KEPT)
    cache.set(f"{name}:fresh", 1, timeout=FRESH)
    return found


def _fetch(issuer: str, keys_url: str) -> list[JsonObject]:
    keys = _get(keys_url or _discovered(issuer)).get("keys")
    if not isinstance(keys, list) or len(keys) > _MOST_KEYS:
        raise UnreadableAnswer("The answer is no JSON Web Key Set.")
    return [key for key in keys if isinstance(key, dict)]


def _discovered(issuer: str) -> str:
    """Where the issuer's metadata says its keys are; it must be that issuer's own metadata."""
    metadata = _get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    address = metadata.get("jwks_uri")
    if metadata.get("issuer") != issuer or not isinstance(address, str):
        raise UnreadableAnswer("The metadata is not that of the issuer, or names no keys.")
    return address


def _get(url: str) -> JsonObject:
    answer: httpx.Response = outbound.call(
        "GET",
        url,
        _destinations(),
        seconds=SECONDS,
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )
    if answer.status_code != httpx.codes.OK or len(answer.content) > _LARGEST:
        raise UnreadableAnswer(f"It answered {answer.status_code}, {len(answer.content)} bytes.")
    return json_object(answer)


def _destinations() -> Destinations:
    return Destinations("OIDC_HOSTS", settings.OIDC_HOSTS, settings.OIDC_NETWORKS)
