"""AWS IAM: botocore writes, signs and parses requests; our own client sends each of them once.

The `before-send` hook takes the signed request away from botocore, so that its sockets, its
timeouts and its repeats never come into play.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import Any

import httpx

from connectors import http
from connectors.base import ConnectorError, OutcomeUnknown

_NAME = "AWS IAM"
_CLIENT: ContextVar[httpx.Client] = ContextVar("client")  # of the call that goes on
INSTALL = (
    "AWS IAM needs the package boto3, which is not installed: pip install 'countersign[aws]', or "
    "uv sync --extra aws."
)
# Refusals that say "not now" (the IAM API's common errors); nothing was done.
_LATER = frozenset({"Throttling", "ThrottlingException", "ConcurrentModification"})


class IamClient:
    """One account, and what of it may be named.

    The credential is `access key id:secret`, or `id:secret:session token`. `allowed` lists ARNs of
    groups, users and policies, separated by spaces or commas; `*` stands for anything in a place.
    """

    def __init__(self, base_url: str, credential: str, allowed: str) -> None:
        self._url = base_url.rstrip("/")
        self._credential = credential
        self._allowed = allowed.replace(",", " ").split()
        self._made: Any = None

    def must_be_listed(self, *arns: str) -> None:
        """Raises ConnectorError for one that this connection does not list."""
        for arn in arns:
            if not any(fnmatchcase(arn, pattern) for pattern in self._allowed):
                raise ConnectorError(
                    f"This connection does not list {arn}; nothing was sent.",
                    permanent=True,
                    code="not_listed",
                )

    @contextmanager
    def session(self) -> Iterator[Session]:
        """All requests of one call; they share its total time."""
        if self._made is None:  # reading what IAM is costs a second; two at once cost it twice
            self._made = self._service()
        with http.open_client() as client:
            token = _CLIENT.set(client)
            try:
                yield Session(self._made, self._secrets)
            finally:
                _CLIENT.reset(token)

    @property
    def _secrets(self) -> tuple[str, ...]:
        return tuple(self._credential.split(":")[1:])

    def _service(self) -> Any:
        try:
            import boto3
            from botocore.awsrequest import AWSResponse
            from botocore.config import Config
        except ImportError as error:
            raise ConnectorError(INSTALL, permanent=True, code="not_installed") from error
        key, _, rest = self._credential.partition(":")
        secret, _, token = rest.partition(":")
        service = boto3.session.Session(
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token or None,
            region_name="us-east-1",  # IAM is one for all regions, signed for this one
        ).client(
            "iam",
            endpoint_url=self._url,
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=True),
        )

        def send(request: Any, **kwargs: Any) -> Any:
            headers = {name: _text(value) for name, value in request.headers.items()}
            answer = _CLIENT.get().request(
                request.method, request.url, headers=headers, content=request.body or b""
            )
            return AWSResponse(
                request.url, answer.status_code, dict(answer.headers), _Raw(answer.content)
            )

        service.meta.events.register("before-send.iam", send)
        return service


class Session:
    """Requests to IAM by the names boto3 gives them."""

    def __init__(self, service: Any, secrets: tuple[str, ...]) -> None:
        self._service = service
        self._secrets = secrets

    def read(self, name: str, **values: str) -> dict[str, Any]:
        """Raises ConnectorError."""
        with http.reading(_NAME):
            return self._ask(name, values)

    def pages(self, name: str, key: str, **values: str) -> Iterator[dict[str, Any]]:
        """Everything of a list; raises ConnectorError."""
        marker: dict[str, str] = {}
        while True:
            answer = self.read(name, **values, **marker)
            yield from answer[key]
            if not answer.get("IsTruncated"):
                return
            marker = {"Marker": answer["Marker"]}

    def write(self, name: str, **values: str) -> None:
        """One request. Raises ConnectorError (nothing was done) or OutcomeUnknown."""
        with http.writing(_NAME):
            self._ask(name, values, is_write=True)

    def _ask(self, name: str, values: dict[str, str], *, is_write: bool = False) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        try:
            answer: dict[str, Any] = getattr(self._service, name)(**values)
        except ClientError as error:
            self._refuse(error, is_write=is_write)
        except HTTPClientError as error:  # botocore wraps what our client raised
            raise _cause(error) from error
        except BotoCoreError as error:
            raise http.UnreadableAnswer(f"botocore: {type(error).__name__}") from error
        return answer

    def _refuse(self, error: Any, *, is_write: bool) -> Any:
        said, status = error.response.get("Error", {}), _status(error)
        code = str(said.get("Code", ""))
        message = http.redact(str(said.get("Message", "")) or code, *self._secrets)
        if code in _LATER or status == 429:
            raise ConnectorError(
                f"{_NAME} is busy: {message}", permanent=False, code="busy"
            ) from error
        if not 400 <= status < 500 and is_write:
            raise OutcomeUnknown(http.said(_NAME, status, message)) from error
        raise ConnectorError(
            f"{_NAME} answered: {message}", permanent=400 <= status < 500, code=code
        ) from error


def _cause(error: BaseException) -> Exception:
    """The error of our own client within botocore's; another is taken for a lost answer."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, httpx.HTTPError):
            return inner
        inner = inner.__cause__ or inner.__context__ or getattr(inner, "kwargs", {}).get("error")
    return http.UnreadableAnswer("The request failed.")


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class _Raw:
    """A body that is there already, as botocore reads one."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        yield self._content
