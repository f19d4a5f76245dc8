"""Asking a token endpoint: OAuth 2.0 (RFC 6749), with assertions (RFC 7523) where wanted.

A token request is a form of a few fields, and goes through our one client: one request, no
redirects, a total deadline. PyJWT signs the assertions. Authlib and oauthlib were looked at: the
first sends by itself (with repeats of its own), and the second would write these forms and take
a changed scope for an exception; neither takes a decision off us that matters here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
import jwt

from audit.lib import db_clock
from connectors import http
from connectors.base import ConnectorError
from connectors.declared.file import Authentication, ClientProof, Scheme

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 180  # the shortest any of the known systems wants
_LONGEST_LIFE = timedelta(hours=24)
_KNOWN_ERRORS = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
     "unsupported_grant_type", "invalid_scope"}
)  # fmt: skip


class SignInEnded(ConnectorError):
    """The token endpoint no longer takes what somebody's signing in gave us (invalid_grant)."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are at a token endpoint, by the credential of the connection."""

    id: str
    secret: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)  # PEM
    key_id: str = ""
    subject: str = ""  # on whose behalf, for the scheme jwt_bearer

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.secret, self.private_key)))


@dataclass(frozen=True, slots=True)
class Granted:
    """What a token endpoint gave."""

    access_token: str = field(repr=False)
    lives: timedelta
    refresh_token: str = field(default="", repr=False)
    """"" where the one we have stays as it is."""


def client_of(credential: str, authentication: Authentication) -> Client:
    """The credential as such a scheme needs it: a JSON object. Raises ValueError with a sentence.

    The sentence never repeats a part of the credential.
    """
    needed = ["client_id"]
    is_signed = ClientProof.ASSERTION is authentication.client
    if authentication.scheme is Scheme.JWT_BEARER or is_signed:
        needed.append("private_key")
    else:
        needed.append("client_secret")
    if authentication.scheme is Scheme.JWT_BEARER:
        needed.append("subject")
    known = {"client_id", "client_secret", "private_key", "key_id", "subject"}
    sentence = f"The credential must be a JSON object with {', '.join(needed)}."
    try:
        found = json.loads(credential)
    except ValueError:
        raise ValueError(sentence) from None
    if not isinstance(found, dict) or not found.keys() <= known:
        raise ValueError(sentence)
    texts = {name: value for name, value in found.items() if isinstance(value, str) and value}
    if len(texts) != len(found) or not texts.keys() >= set(needed):
        raise ValueError(sentence)
    return Client(
        texts["client_id"],
        texts.get("client_secret", ""),
        texts.get("private_key", ""),
        texts.get("key_id", ""),
        texts.get("subject", ""),
    )


def token_endpoint(authentication: Authentication, base_url: str) -> str:
    """Its address: a path is at the connection's own host."""
    if not authentication.token.startswith("/"):
        return authentication.token
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}{authentication.token}"


def granted(
    title: str, authentication: Authentication, client: Client, endpoint: str, refresh_token: str
) -> Granted:
    """A token for that client, by the scheme's grant. Raises ConnectorError: nothing was done."""
    if authentication.scheme is Scheme.AUTHORIZATION_CODE:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    elif authentication.scheme is Scheme.JWT_BEARER:
        audience = authentication.audience or endpoint
        claims = {"iss": client.id, "sub": client.subject, "aud": audience}
        signed = _signed(title, authentication, client, claims)
        form = {"grant_type": _JWT_BEARER, "assertion": signed}
    else:
        form = {"grant_type": "client_credentials"}
        if authentication.scope and authentication.client is not ClientProof.ASSERTION:
            form["scope"] = authentication.scope
    return ask(title, authentication, client, endpoint, form)


def ask(
    title: str,
    authentication: Authentication,
    client: Client,
    endpoint: str,
    form: Mapping[str, str],
) -> Granted:
    """Send one token request. Raises ConnectorError, which never repeats what was sent."""
    headers, proof = _proof(title, authentication, client, endpoint)
    fields = {**form, **proof}
    if authentication.scheme is Scheme.JWT_BEARER:
        fields.pop("client_id", None)
    try:
        with http.open_client(headers={"Accept": "application/json", **headers}) as opened:
            answer = opened.post(endpoint, data=fields)
        if answer.status_code != 200:
            raise _refusal(title, authentication, answer)
        body = http.json_object(answer)
    except (httpx.HTTPError, http.UnreadableAnswer) as error:
        raise ConnectorError(
            f"{title} could not be signed in to: its token service does not answer "
            f"({type(error).__name__}). Nothing was sent.",
            permanent=False,
            code="no_token",
        ) from error
    return _read(title, authentication, body)


def _proof(
    title: str, authentication: Authentication, client: Client, endpoint: str
) -> tuple[dict[str, str], dict[str, str]]:
    """How the client shows that it is the client: headers, and fields of the form."""
    if authentication.scheme is Scheme.JWT_BEARER:
        return {}, {}
    if authentication.client is ClientProof.ASSERTION:
        claims: dict[str, Any] = {"iss": client.id, "aud": authentication.audience or endpoint}
        if authentication.scope:
            claims["scope"] = authentication.scope.split()
        signed = _signed(title, authentication, client, claims)
        return {}, {"client_assertion_type": _ASSERTION, "client_assertion": signed}
    if authentication.client is ClientProof.BASIC:
        pair = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"  # RFC 6749, 2.3.1
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {}
    return {}, {"client_id": client.id, "client_secret": client.secret}


def _signed(
    title: str, authentication: Authentication, client: Client, claims: Mapping[str, Any]
) -> str:
    now = int(db_clock.now().timestamp())  # the other side compares it with a clock of its own
    times = {"iat": now, "exp": now + _ASSERTION_SECONDS, "jti": str(uuid4())}
    headers = {"kid": client.key_id} if client.key_id else None
    try:
        return jwt.encode(
            {**claims, **times}, client.private_key, authentication.algorithm, headers=headers
        )
    except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError):
        raise ConnectorError(
            f"{title} could not be signed in to: the private key of the credential is no "
            f"{authentication.algorithm} key. Nothing was sent.",
            permanent=False,
            code="no_token",
        ) from None  # the error may quote the key


def _refusal(title: str, authentication: Authentication, answer: httpx.Response) -> ConnectorError:
    status = answer.status_code
    try:
        said = http.json_object(answer).get("error")
    except http.UnreadableAnswer:  # a gateway's page
        said = ""
    error = said if isinstance(said, str) and said in _KNOWN_ERRORS else f"status {status}"
    is_code = authentication.scheme is Scheme.AUTHORIZATION_CODE
    if error == "invalid_grant" and is_code:
        return SignInEnded(
            f"Signing in to {title} no longer holds: an ops admin signs in again on the "
            "connection's page. Nothing was sent.",
            permanent=False,
            code="sign_in",
        )
    hint = "check its credential" if status < 500 else "its token service is not well"
    return ConnectorError(
        f"{title} could not be signed in to ({error}): {hint}. Nothing was sent.",
        permanent=False,
        code="no_token",
    )


def _read(title: str, authentication: Authentication, body: Mapping[str, Any]) -> Granted:
    token, kind, refresh = (body.get(n) for n in ("access_token", "token_type", "refresh_token"))
    lives = body.get("expires_in", authentication.lives_seconds)
    seconds = int(lives) if isinstance(lives, str) and lives.isdecimal() else lives
    is_sound = (
        isinstance(token, str)
        and token.isascii()
        and token.isprintable()
        and token != ""
        and isinstance(kind, str)
        and kind.lower() == "bearer"
        and isinstance(refresh, str | None)
        and type(seconds) is int
        and seconds > 0
    )
    if not is_sound:
        raise ConnectorError(
            f"{title} could not be signed in to: its token service gave no bearer token. "
            "Nothing was sent.",
            permanent=False,
            code="no_token",
        )
    return Granted(str(token), min(timedelta(seconds=seconds), _LONGEST_LIFE), refresh or "")
