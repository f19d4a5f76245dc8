"""Tokens at rest: encrypted with a key of the configuration, which can be changed.

Fernet (AES-128-CBC with HMAC-SHA256) by the `cryptography` library. `CREDENTIALS_KEY` encrypts;
the values of `CREDENTIALS_RETIRED_KEYS` still decrypt what was kept before the key was changed.
"""

from __future__ import annotations

import base64
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class KeyMissing(Exception):
    """There is no key to keep tokens with, or none that what was kept can be read with."""


def is_possible() -> bool:
    """Whether tokens can be kept here at all."""
    return bool(settings.CREDENTIALS_KEY)


def encrypt(text: str) -> str:
    """For the database; "" stays "". Raises KeyMissing."""
    return _cipher().encrypt(text.encode()).decode() if text else ""


def decrypt(kept: str) -> str:
    """What was encrypted. Raises KeyMissing where no key of ours fits."""
    if not kept:
        return ""
    try:
        return _cipher().decrypt(kept.encode()).decode()
    except InvalidToken:
        raise KeyMissing("What was kept cannot be read with CREDENTIALS_KEY.") from None


def fingerprint(text: str) -> str:
    """Tells equal secrets from different ones, and nothing else about them. Raises KeyMissing."""
    return hmac.new(_derived(_key(), b"fingerprint"), text.encode(), "sha256").hexdigest()


def _key() -> str:
    key: str = settings.CREDENTIALS_KEY
    if not key:
        raise KeyMissing("Set CREDENTIALS_KEY: tokens are kept encrypted, and there is no key.")
    return key


def _cipher() -> MultiFernet:
    return _ciphers((_key(), *settings.CREDENTIALS_RETIRED_KEYS))


@lru_cache(maxsize=4)
def _ciphers(keys: tuple[str, ...]) -> MultiFernet:
    derived = (base64.urlsafe_b64encode(_derived(key, b"tokens")) for key in keys)
    return MultiFernet([Fernet(key) for key in derived])


def _derived(key: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"countersign " + purpose).derive(key.encode())
