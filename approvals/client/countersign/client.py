"""Countersign's client: propose an action, let people decide, go on when they have.

    cs = Countersign()  # COUNTERSIGN_URL and COUNTERSIGN_KEY
    a = cs.propose("refund.issue", params, intent=why, key=idempotency_key(run, call))
    a = cs.settle(a, within=20)  # or raises Pending, NotDone, NeedsAgent, Unclear

Proposing again with the same key finds the same request: after a restart, do exactly that. The
text of every exception may be shown to a model. `AsyncCountersign` has the same, to be awaited.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import inspect
import json
import os
import random
import ssl
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeAlias, TypedDict, TypeVar, Unpack

import anyio  # comes with httpx
import httpx

P = ParamSpec("P")
T = TypeVar("T")
Json: TypeAlias = dict[str, Any]
Code: TypeAlias = Callable[..., Any]
Method: TypeAlias = Callable[Concatenate["AsyncCountersign", P], Coroutine[Any, Any, T]]

TRIES = 7  # of one call: the pauses between them add up to about half a minute
LONGEST_WAIT = 25.0  # seconds the server is asked to hold one answer
_NO_ANSWER = (
    "Countersign does not answer; whether the call arrived is not known. Make the same call again "
    "later, with the same key, and do not do the action in any other way."
)
_UNREPORTED = "It was done, and that could not be reported: people find out. Do NOT repeat it."
_calling: ContextVar[str] = ContextVar("countersign_calling", default="")


class Action(dict[str, Any]):
    """A request as the server tells it; all its fields are attributes, too."""

    id: str
    state: str
    params: Json | None
    outcome: str  # open, needs_agent, done, refused or unclear
    final: bool
    message: str
    question: Json | None
    poll_after: float | None  # seconds

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)


class Details(TypedDict, total=False):  # what a proposal may say besides
    on_behalf_of: str
    confidence: float
    model: Json
    evidence: Sequence[Json]
    alternatives: Sequence[Json]
    undo_note: str
    session: str
    supersedes: str
    callback_url: str
    decide_by: str


class CountersignError(Exception):
    """Every error of this client."""


class Unavailable(CountersignError):
    """Nobody answered in all tries. The same call may be made again, with the same key."""


class Refused(CountersignError):
    """The server refused the call (RFC 9457); it did nothing."""

    def __init__(self, status: int, problem: Json) -> None:
        self.status, self.code = status, str(problem.get("code", status))
        self.errors: list[Json] = problem.get("errors", [])
        fields = "".join(f" {e['field']}: {e['message']}" for e in self.errors)
        super().__init__(f"Refused ({self.code}). {problem.get('detail', '')}{fields}")


class Unsettled(CountersignError):
    """It is not done; `action` is how it stands."""

    def __init__(self, action: Action) -> None:
        self.action = action
        super().__init__(f"{action.message} Request {action.id}.")


class Pending(Unsettled):
    """People have not decided, or it is being carried out: settle it later, do not repeat it."""


class NeedsAgent(Unsettled):
    """A reviewer asks: see `action.question`, and `answer`."""


class NotDone(Unsettled):
    """It ended and will not be done."""


class Failed(CountersignError):
    """To be raised in a gated function: it did nothing, certainly."""


class Unclear(Unsettled):
    """Nobody knows yet whether it was done; people are looking. Never repeat it."""


def idempotency_key(*parts: object) -> str:
    """The same for the same parts: framework, run, number of the call; what survives a restart."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()


@contextmanager
def calling(*parts: object) -> Iterator[None]:
    """Within, tools propose under a key of these parts: called again, they find it."""
    token = _calling.set(idempotency_key(*parts))
    try:
        yield
    finally:
        _calling.reset(token)


class AsyncCountersign:
    """One agent; `key` may be a callable that gives a token for each call."""

    def __init__(self, url: str = "", key: str | Callable[[], str] = "") -> None:
        self._base = f"{(url or os.environ['COUNTERSIGN_URL']).rstrip('/')}/api/v1/"
        self._key = key or os.environ["COUNTERSIGN_KEY"]

    async def call(
        self, /, method: str, path: str, body: Json | None = None, *, key: str = "", **query: str
    ) -> httpx.Response:
        """Any call, repeated until answered; what may have arrived, only with a `key`."""
        repeatable, pause = method == "GET" or bool(key), 0.5
        headers = {"Idempotency-Key": key} if key else {}
        timeout = httpx.Timeout(float(query.get("wait", 0)) + 15).as_dict()
        url = httpx.URL(self._base + path).copy_merge_params(query)
        for tries_left in reversed(range(TRIES)):
            token = self._key if isinstance(self._key, str) else self._key()
            headers["Authorization"], told = f"Bearer {token}", {"timeout": timeout}
            asked = 0.0
            try:
                asking = httpx.Request(method, url, json=body, headers=headers, extensions=told)
                answer = await self._send(asking)
            except httpx.TransportError as error:
                if not (repeatable or isinstance(error, httpx.ConnectError)):
                    break
            else:
                asked, status = _retry_after(answer), answer.status_code
                if status < 300:
                    return answer
                lost = status in (502, 504) and repeatable
                if not (lost or status in (429, 503) or (status == 409 and asked)):
                    is_json = "json" in answer.headers.get("Content-Type", "")
                    raise Refused(status, answer.json() if is_json else {})
            if tries_left:
                await self._sleep(max(pause * random.uniform(0.5, 1), asked))  # noqa: S311
                pause = min(pause * 2, 15)
        raise Unavailable(_NO_ANSWER)

    async def _act(self, path: str, body: Json, key: str = "") -> Action:
        return Action((await self.call("POST", path, body, key=key)).json())

    async def propose(
        self, action_type: str, params: Json, *, intent: str, key: str = "", **more: Unpack[Details]
    ) -> Action:
        """Propose it, or find what was proposed with that key. Raises Refused, not NotDone."""
        body = {"action_type": action_type, "params": params, "intent": intent, **more}
        return await self._act("actions/", body, key or _calling.get() or uuid.uuid4().hex)

    async def get(self, request_id: str) -> Action:
        return Action((await self.call("GET", f"actions/{request_id}/")).json())

    async def settle(self, action: Action | str, *, within: float = 20.0) -> Action:
        """Until it is done. Raises Pending after `within` seconds."""
        now = action if isinstance(action, Action) else await self.get(action)
        ends = time.monotonic() + within
        while now.outcome == "open":
            begun, before = time.monotonic(), now.state
            if (left := ends - begun) <= 0:
                raise Pending(now)
            wait = str(int(min(left, LONGEST_WAIT)))
            try:
                answer = await self.call("GET", f"actions/{now.id}/", wait=wait)
            except Unavailable:
                continue  # it is stored: while the server is away, nothing is lost
            now, pause = Action(answer.json()), 0.0
            if answer.headers.get("Countersign-Waited") == "no":
                pause = _retry_after(answer)
            elif now.state == before and time.monotonic() - begun < 1:
                pause = float(now.poll_after or 2)
            if pause and (left := ends - time.monotonic()) > 0:
                await self._sleep(min(left, pause))
                now = await self.get(now.id) if pause > left else now
        if now.outcome == "done":
            return now
        raise {"needs_agent": NeedsAgent, "refused": NotDone}.get(now.outcome, Unclear)(now)

    async def changes(self, after: str = "", *, wait: int = 25) -> tuple[list[Action], str]:
        """Own requests by their last change, and the cursor to keep once they are dealt with."""
        query: Json = {"wait": str(wait)} | ({"after": after} if after else {})
        answer = await self.call("GET", "actions/changes/", **query)
        page = answer.json()
        if not page["results"] and answer.headers.get("Countersign-Waited") == "no":
            await self._sleep(_retry_after(answer))
        return [Action(one) for one in page["results"]], page["cursor"]

    async def answer(self, /, request_id: str, answer: str, **details: Any) -> Action:
        return await self._act(f"actions/{request_id}/answer/", {"answer": answer, **details})

    async def withdraw(self, request_id: str, reason: str = "") -> Action:
        return await self._act(f"actions/{request_id}/withdraw/", {"reason": reason})

    async def undo(self, request_id: str, reason: str = "") -> Action:
        key = idempotency_key("undo", request_id)
        return await self._act(f"actions/{request_id}/undo/", {"reason": reason}, key)

    def tool(self, kind: str, *, within: float = 20.0) -> Callable[[Code], Code]:
        """What the function says, (params, intent), is proposed and settled when it is called."""

        async def run(code: Code, *args: Any, **kwargs: Any) -> Action:
            params, intent = await _value(code(*args, **kwargs))
            return await self.settle(await self.propose(kind, params, intent=intent), within=within)

        return functools.partial(self._decorated, run)

    async def redeem(self, request_id: str, redeemer: str) -> Json:
        """The grant to carry it out oneself, once: `params` and `fence`. Raises Refused."""
        path, body = f"actions/{request_id}/redeem/", {"redeemer": redeemer}
        return Json((await self.call("POST", path, body, key=redeemer)).json()["grant"])

    async def report(self, /, request_id: str, fence: int, outcome: str, **told: str) -> Action:
        """What came of it: done (with a `receipt`), failed (certainly without effect), unknown."""
        body = {"fence": fence, "outcome": outcome, **told}
        return await self._act(f"actions/{request_id}/report/", body, idempotency_key(request_id))

    def gate(self, kind: str, *, intent: str = "", within: float = 20.0) -> Callable[[Code], Code]:
        """The function runs once people agreed to its arguments, at most once, with what they say.

        Its `intent` says why. After Failed it did nothing; after any other error nobody knows.
        """

        async def run(code: Code, *args: Any, **kwargs: Any) -> Any:
            bound = inspect.signature(code).bind(*args, **kwargs)
            bound.apply_defaults()
            params = bound.arguments
            own = {"intent": params.pop("intent")} if "intent" in params else {}
            said = own.get("intent") or intent or code.__doc__ or code.__name__
            action = await self.propose(kind, dict(params), intent=said)
            try:
                return await self.settle(action, within=within)
            except NeedsAgent as asked:
                if asked.action.state != "approved":
                    raise
            try:
                grant = await self.redeem(action.id, uuid.uuid4().hex)
            except Refused as error:
                if error.code not in ("not_now", "drift", "grant_consumed"):
                    raise
                raise Pending(await self.get(action.id)) from error
            try:
                result = await _value(code(**grant["params"], **own))
            except Exception as error:
                outcome = "failed" if isinstance(error, Failed) else "unknown"
                with suppress(CountersignError):
                    await self.report(action.id, grant["fence"], outcome)
                raise
            told = f"sha256:{hashlib.sha256(repr(result).encode()).hexdigest()}"
            try:
                await self.report(action.id, grant["fence"], "done", receipt=told)
            except CountersignError as error:
                raise Unclear(Action(action, message=_UNREPORTED)) from error
            return result

        return functools.partial(self._decorated, run)

    def _decorated(self, run: Code, code: Code) -> Code:
        @functools.wraps(code)
        async def call(*args: Any, **kwargs: Any) -> Any:
            return await run(code, *args, **kwargs)

        return call

    async def _send(self, request: httpx.Request) -> httpx.Response:
        async with httpx.AsyncClient(verify=_trust()) as http:
            return await http.send(request)

    async def _sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class _Blocking(AsyncCountersign):
    """The same without ever suspending, so that it is over when it has begun."""

    async def _send(self, request: httpx.Request) -> httpx.Response:
        with httpx.Client(verify=_trust()) as http:
            return http.send(request)

    async def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def _decorated(self, run: Code, code: Code) -> Code:
        begin = functools.partial(run, code)
        return functools.wraps(code)(lambda *args, **kwargs: _result(begin(*args, **kwargs)))


def _result(begun: Coroutine[Any, Any, T]) -> T:
    try:
        begun.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise TypeError("Asynchronous functions are for AsyncCountersign.")


def _now(method: Method[P, T]) -> Callable[Concatenate[Countersign, P], T]:
    @functools.wraps(method)
    def call(self: Countersign, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return _result(method(self._agent, *args, **kwargs))

    return call


class Countersign:
    """`AsyncCountersign` for ordinary code."""

    def __init__(self, url: str = "", key: str | Callable[[], str] = "") -> None:
        self._agent = _Blocking(url, key)
        self.tool, self.gate = self._agent.tool, self._agent.gate

    call, get = _now(AsyncCountersign.call), _now(AsyncCountersign.get)
    propose, settle = _now(AsyncCountersign.propose), _now(AsyncCountersign.settle)
    changes, answer = _now(AsyncCountersign.changes), _now(AsyncCountersign.answer)
    withdraw, undo = _now(AsyncCountersign.withdraw), _now(AsyncCountersign.undo)
    redeem, report = _now(AsyncCountersign.redeem), _now(AsyncCountersign.report)


async def _value(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), 300.0) if text.isascii() and text.isdigit() else 0.0


@functools.cache
def _trust() -> ssl.SSLContext:  # reading the authorities takes longer than a call
    return httpx.create_ssl_context()


class Event(NamedTuple):
    id: str  # the same when it is sent again
    type: str
    timestamp: str
    action: Action


class Webhook:
    """Verifies Standard Webhooks 1.0; with the old secret and the new one while they change."""

    TOLERANCE = 300  # seconds

    def __init__(self, *secrets: str) -> None:
        self._keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]

    def verify(self, body: bytes, headers: Mapping[str, str]) -> Event:
        """Raises CountersignError for what is not ours, was changed, or is old."""
        told = {name.lower(): value for name, value in headers.items()}
        try:
            id_, at = told["webhook-id"], told["webhook-timestamp"]
            if abs(time.time() - int(at)) > self.TOLERANCE:
                raise CountersignError("The webhook is too old, or a clock is wrong.")
            signed = f"{id_}.{at}.".encode() + body
            known = [hmac.digest(key, signed, "sha256") for key in self._keys]
            every = told["webhook-signature"].split()
            sent = [base64.b64decode(s[3:]) for s in every if s.startswith("v1,")]
        except (KeyError, ValueError) as error:
            raise CountersignError("This is no signed webhook.") from error
        if not any(hmac.compare_digest(ours, theirs) for ours in known for theirs in sent):
            raise CountersignError("The webhook's signature is wrong.")
        event = json.loads(body)
        return Event(id_, event["type"], event["timestamp"], Action(event["data"]))
