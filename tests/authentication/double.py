"""A helpdesk that takes only tokens of its own token service, which is strict throughout."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from werkzeug.wrappers import Request, Response

from connectors.sandbox.server import _WebThread
from connectors.sandbox.store import Store
from tests.helpdesk.double import TEXT, Helpdesk

CLIENT, SECRET = "client-4711", "s3cret/with:signs and spaces"
SCHEMES = {
    "body": "{scheme: client_credentials, token: /oauth/token, scope: tickets}",
    "basic": "{scheme: client_credentials, token: /oauth/token, client: basic}",
    "PS256": "{scheme: client_credentials, token: /oauth/token, client: assertion, "
    "algorithm: PS256, scope: tickets}",
    "RS256": "{scheme: jwt_bearer, token: /oauth/token, algorithm: RS256, lives_seconds: 3600}",
    "ES256": "{scheme: jwt_bearer, token: /oauth/token, algorithm: ES256, "
    "audience: https://login.helpdesk.example, lives_seconds: 3600}",
    "code": "{scheme: authorization_code, token: /oauth/token, scope: tickets, client: basic, "
    "authorize: https://login.helpdesk.example/authorize}",
}
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@cache
def private_key(algorithm: str) -> Any:
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def credential(kind: str) -> str:
    """What the installation keeps for a connection of that scheme."""
    if kind in {"body", "basic", "code"}:
        return json.dumps({"client_id": CLIENT, "client_secret": SECRET})
    pem = private_key(kind).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    found = {"client_id": CLIENT, "private_key": pem.decode(), "key_id": "certificate-7"}
    return json.dumps(found if kind == "PS256" else {**found, "subject": "robot@company.example"})


class Refused(Exception):
    """An error of RFC 6749, section 5.2."""


class TokenHelpdesk(Helpdesk):
    """The helpdesk, and `POST /oauth/token`. Refresh tokens rotate: a used one ends all."""

    def __init__(self, store: Store, kind: str) -> None:
        super().__init__(store)
        self._token = ""  # tokens are checked here
        self.kind = kind
        self.lives: object = 3600
        self.asked: list[dict[str, str]] = []  # forms, as they came
        self.given: list[str] = []
        self.valid: set[str] = set()
        self.refresh_token = ""
        self.code: dict[str, str] = {}
        self.reused = 0
        self.takes_no_token = False
        self.fails: Response | None = None
        self.slow = 0.0  # seconds
        self._turn = threading.Lock()

    def _serve(self, request: Request) -> Response:
        if request.path == "/oauth/token":
            return self._give(request)
        shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.takes_no_token or shown not in self.valid:
            self.refused_writes = getattr(self, "refused_writes", 0) + (request.method != "GET")
            said = {"code": "unauthorized", "detail": f"The token {shown} is not valid."}
            return Response(json.dumps(said), status=401, mimetype="application/json")
        return super()._serve(request)

    def revoke(self) -> None:
        self.valid.clear()

    def _give(self, request: Request) -> Response:
        if self.slow:
            time.sleep(self.slow)
        with self._turn:
            if self.fails is not None:
                self.asked.append({})
                return self.fails
            try:
                answer = self._granted(request)
                status = 200
            except Refused as refused:
                answer, status = {"error": str(refused), "error_description": SECRET}, 400
        return Response(json.dumps(answer), status=status, mimetype="application/json")

    def _granted(self, request: Request) -> dict[str, Any]:
        form = dict(request.form)
        self.asked.append(form)
        if request.method != "POST" or request.mimetype != "application/x-www-form-urlencoded":
            raise Refused("invalid_request")
        rest = self._without_client(request, form)
        if self.kind == "code":
            answer = self._by_person(rest)
        elif self.kind in {"RS256", "ES256"}:
            self._check(rest.pop("assertion", ""), f"{self.kind}", subject="robot@company.example")
            _exactly(rest, {"grant_type": _JWT_BEARER})
            answer = {}
        else:
            scope = {"scope": "tickets"} if self.kind == "body" else {}
            _exactly(rest, {"grant_type": "client_credentials", **scope})
            answer = {}
        token = f"access-{len(self.given) + 1}-{'x' * 24}"
        self.given.append(token)
        self.valid.add(token)
        lives = {} if self.lives is None else {"expires_in": self.lives}
        return {"access_token": token, "token_type": "Bearer", **lives, **answer}

    def _without_client(self, request: Request, form: dict[str, str]) -> dict[str, str]:
        rest = dict(form)
        if self.kind == "body":
            pair = (rest.pop("client_id", ""), rest.pop("client_secret", ""))
        elif self.kind in {"basic", "code"}:
            encoded = request.headers.get("Authorization", "").removeprefix("Basic ")
            name, _, secret = base64.b64decode(encoded).decode().partition(":")
            pair = (unquote(name), unquote(secret))
        elif self.kind == "PS256":
            self._check(rest.pop("client_assertion", ""), "PS256", scope=["tickets"])
            if rest.pop("client_assertion_type", "") != _ASSERTION:
                raise Refused("invalid_request")
            return rest
        else:
            return rest
        if pair != (CLIENT, SECRET):
            raise Refused("invalid_client")
        return rest

    def _check(self, signed: str, kind: str, subject: str = "", scope: object = None) -> None:
        audience = (
            "https://login.helpdesk.example" if kind == "ES256" else f"{self.url}/oauth/token"
        )
        try:
            claims = jwt.decode(
                signed,
                private_key(kind).public_key(),
                algorithms=[kind],
                audience=audience,
                issuer=CLIENT,
                options={"require": ["exp", "iat", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise Refused("invalid_client") from error
        is_whole = jwt.get_unverified_header(signed).get("kid") == "certificate-7"
        if (claims.get("sub", ""), claims.get("scope")) != (subject, scope) or not is_whole:
            raise Refused("invalid_client")
        if claims["exp"] - claims["iat"] > 180:
            raise Refused("invalid_grant")

    def _by_person(self, form: dict[str, str]) -> dict[str, Any]:
        if form.get("grant_type") == "refresh_token":
            if form.pop("refresh_token", "") != self.refresh_token or not self.refresh_token:
                self.reused += 1
                self.refresh_token = ""  # RFC 9700, 4.14.2: it may have been stolen
                raise Refused("invalid_grant")
            _exactly(form, {"grant_type": "refresh_token"})
        else:
            if not self.code:
                raise Refused("invalid_grant")
            verifier = form.pop("code_verifier", "")
            if _challenge(verifier) != self.code["challenge"]:
                raise Refused("invalid_grant")
            expected = {"code": self.code["code"], "redirect_uri": self.code["redirect_uri"]}
            _exactly(form, {"grant_type": "authorization_code", **expected})
            self.code = {}
        self.refresh_token = f"refresh-{len(self.asked)}-{'y' * 24}"
        return {"refresh_token": self.refresh_token, "x_refresh_token_expires_in": 8_726_400}


def _challenge(verifier: str) -> str:
    from hashlib import sha256

    return base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _exactly(form: Mapping[str, str], expected: Mapping[str, str]) -> None:
    if dict(form) != dict(expected):
        raise Refused("invalid_request")


def file_text(kind: str) -> str:
    """The helpdesk's file with that scheme."""
    text = TEXT.replace("authentication: {scheme: bearer}", f"authentication: {SCHEMES[kind]}", 1)
    if kind == "code":
        text = text.replace("probe:", 'hosts: ["127.0.0.1", "login.helpdesk.example"]\nprobe:', 1)
    return text


@contextmanager
def running(folder: Path, kind: str) -> Iterator[TokenHelpdesk]:
    """It served on loopback, at `url`, and its file in `folder`/systems."""
    system = TokenHelpdesk(Store(folder / "helpdesk.sqlite3"), kind)
    web = _WebThread(system, 0)
    system.url = web.url
    (folder / "systems").mkdir()
    (folder / "systems" / "helpdesk.yaml").write_text(file_text(kind))
    try:
        yield system
    finally:
        web.stop()
