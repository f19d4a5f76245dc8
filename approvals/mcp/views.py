"""`/mcp/`: one message in, one answer out, and nothing kept between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from rest_framework import exceptions as drf
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from approvals.api.field_problems import field_problems
from approvals.api.views import AgentView, agent_of, signature_of_caller
from approvals.exceptions import ApprovalError, InvalidProposal, Paused
from approvals.mcp import calls, protocol, task_handles
from approvals.mcp.protocol import Call, ProtocolError
from approvals.mcp.results import refusal, result_of
from approvals.mcp.tools import tools_of
from approvals.models import Agent
from approvals.selectors.agent_story import AgentStory
from audit.lib.canonical import JsonObject

SERVER: JsonObject = {"name": "countersign", "title": "Countersign", "version": "1"}
INSTRUCTIONS = (
    "Each tool proposes an action; policy or people decide, which may take hours, and Countersign "
    "carries it out, or you do where its tool says so. Until a result says outcome done, nothing "
    "has been done: never say that it has. Do not call a tool again to hurry it; look it up with "
    "countersign_status. Params may have been changed by a reviewer: what a result says counts."
)
TOOLS_LAST = 60_000  # milliseconds a client may remember its tools


class McpView(AgentView):
    """The MCP endpoint of agents."""

    http_method_names = ["post"]
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        _demand_own_origin(request)
        super().initial(request, *args, **kwargs)

    def post(self, request: Request) -> Response:
        id_: Any = None
        is_modern = True
        try:
            body = request.data
            id_ = body.get("id") if isinstance(body, dict) else None
            call = protocol.read(body, request.headers).signed(signature_of_caller(request))
            is_modern = call.is_modern
            if call.id is None:
                return Response(status=status.HTTP_202_ACCEPTED)
            result = _answer(call, agent_of(request))
        except ProtocolError as error:
            return _error(id_, error, is_modern=is_modern)
        except drf.ParseError as error:
            wrong = ProtocolError(protocol.PARSE_ERROR, str(error.detail))
            return _error(None, wrong, is_modern=True)
        return Response({"jsonrpc": "2.0", "id": call.id, "result": result})


def _answer(call: Call, agent: Agent) -> JsonObject:
    methods = _MODERN if call.is_modern else _LEGACY
    method = methods.get(call.method)
    if method is None:
        raise ProtocolError(
            protocol.METHOD_NOT_FOUND,
            f"There is no method {call.method[:80]!r}.",
            status=status.HTTP_404_NOT_FOUND,
        )
    result = method(call, agent)
    if not call.is_modern:
        return result
    meta: JsonObject = {protocol.SERVER_INFO_KEY: SERVER}
    return {"resultType": "complete", "_meta": meta, **result}


def _discover(call: Call, agent: Agent) -> JsonObject:
    return {
        "supportedVersions": [protocol.MODERN, *reversed(protocol.LEGACY)],
        "capabilities": {"tools": {}, "extensions": {protocol.TASKS: {}}},
        "instructions": INSTRUCTIONS,
        "ttlMs": TOOLS_LAST,
        "cacheScope": "private",
    }


def _initialize(call: Call, agent: Agent) -> JsonObject:
    asked = call.params.get("protocolVersion")
    return {
        "protocolVersion": asked if asked in protocol.LEGACY else protocol.LEGACY[-1],
        "capabilities": {"tools": {}},
        "serverInfo": SERVER,
        "instructions": INSTRUCTIONS,
    }


def _ping(call: Call, agent: Agent) -> JsonObject:
    return {}


def _list_tools(call: Call, agent: Agent) -> JsonObject:
    found: JsonObject = {"tools": tools_of(agent)}
    # what one key may do is nobody else's to see
    kept: JsonObject = {"ttlMs": TOOLS_LAST, "cacheScope": "private"}
    return {**found, **kept} if call.is_modern else found


def _call_tool(call: Call, agent: Agent) -> JsonObject:
    try:
        done = calls.run(call, agent)
    except InvalidProposal as error:
        set_rollback()
        return refusal(error.code, error.message, error.problems)
    except Paused as error:
        set_rollback()
        return refusal(error.code, f"{error.message}. To be ended by {error.resumed_by}.")
    except ApprovalError as error:
        set_rollback()
        return refusal(error.code, error.message)
    except drf.ValidationError as error:
        set_rollback()
        problems = field_problems(error.detail)
        return refusal("invalid_request", "Some fields must be corrected.", problems)
    except drf.ParseError as error:
        return refusal(str(error.get_codes()), str(error.detail))
    if not isinstance(done, AgentStory):
        return done
    if task_handles.is_followed(done, call):
        return task_handles.new_task(done)
    return result_of(done, with_link=call.shows_links)


Method = Callable[[Call, Agent], JsonObject]
_MODERN: dict[str, Method] = {
    "server/discover": _discover,
    "tools/list": _list_tools,
    "tools/call": _call_tool,
    "tasks/get": task_handles.get,
    "tasks/update": task_handles.update,
    "tasks/cancel": task_handles.cancel,
}
_LEGACY: dict[str, Method] = {
    "initialize": _initialize,
    "ping": _ping,
    "tools/list": _list_tools,
    "tools/call": _call_tool,
}


def _error(id_: Any, error: ProtocolError, *, is_modern: bool) -> Response:
    said: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not None:
        said["data"] = error.data
    body = {"jsonrpc": "2.0", "id": id_, "error": said}
    return Response(body, status=error.status if is_modern else status.HTTP_200_OK)


def _demand_own_origin(request: Request) -> None:
    """A page of somebody else's in a browser is nobody's agent (DNS rebinding)."""
    origin = request.headers.get("Origin")
    own = urlsplit(settings.BASE_URL)
    if origin is None or origin in {f"{own.scheme}://{own.netloc}", *settings.CSRF_TRUSTED_ORIGINS}:
        return
    raise drf.PermissionDenied("This origin may not speak to agents' tools.", code="wrong_origin")
