"""The official client against the running server: older revisions, the modern one, and tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, Literal

import pytest
from django.db import connections
from pytest_django.live_server_helper import LiveServer

from approvals.models import ActionRequest
from approvals.services.execute import execute
from policies.models import User
from tests.approvals.make import approve, make_agent, make_key, make_limit, make_person, refund
from tests.approvals.make import make_house as make_rules
from tests.peers.peer import absent

pytestmark = [
    pytest.mark.usefixtures("transactional_db", "sandbox"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]

ARGUMENTS = {**refund("ch_1001", "800.00"), "intent": "The customer sent a photo."}


@pytest.fixture
def key() -> str:
    """The key, in clear, of an agent that may propose everything."""
    if find_spec("mcp") is None:
        absent("the official MCP client is not installed (dependency group mcp)")
    make_rules()
    make_limit(make_person("mona", "manager"), "5000.00")
    return make_key(make_agent(make_person("olga", "agent owner")))


def decide() -> None:
    """mona approves what waits, and a worker carries it out."""
    request = ActionRequest.objects.get()
    approve(request, User.objects.get(username="mona"))
    execute(request.pk)


async def by_people() -> None:
    """`decide` beside the client's loop, in a thread whose connections end with it."""

    def work() -> None:
        try:
            decide()
        finally:
            connections.close_all()

    await asyncio.to_thread(work)


def with_client(
    live_server: LiveServer,
    key: str,
    work: Callable[[Any], Awaitable[Any]],
    *,
    mode: str,
    extensions: Any = (),
) -> Any:
    """What the work came to, with a client connected in that mode."""
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async def run() -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            transport = streamable_http_client(f"{live_server.url}/mcp/", http_client=http)
            async with Client(transport, mode=mode, extensions=list(extensions)) as client:
                return await asyncio.wait_for(work(client), 60)

    return asyncio.run(run())


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_propose_wait_for_a_person_and_read_the_result(
    live_server: LiveServer, key: str, mode: str
) -> None:
    async def work(client: Any) -> tuple[Any, ...]:
        tools = await client.list_tools()
        pending = await client.call_tool("refund_issue", ARGUMENTS)
        again = await client.call_tool("refund_issue", ARGUMENTS)
        await by_people()
        request = pending.structured_content["id"]
        done = await client.call_tool("countersign_status", {"id": request, "wait": 5})
        return client.protocol_version, tools, pending, again, done

    version, tools, pending, again, done = with_client(live_server, key, work, mode=mode)

    assert version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
    assert "refund_issue" in [tool.name for tool in tools.tools]
    assert pending.structured_content["outcome"] == "open"
    assert pending.content[0].text.startswith("NOT done yet.")
    assert again.structured_content["id"] == pending.structured_content["id"]
    assert (done.structured_content["outcome"], done.is_error) == ("done", False)
    assert ActionRequest.objects.count() == 1


def test_a_task_waits_for_a_person_and_completes(live_server: LiveServer, key: str) -> None:
    from mcp.client.extension import ClientExtension, ResultClaim
    from mcp_types import CallToolResult, Request, RequestParams, Result
    from pydantic import ConfigDict
    from pydantic.alias_generators import to_camel

    polled = []

    class Task(Result):
        model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")
        result_type: Literal["task"] = "task"
        task_id: str

    class Got(Result):
        model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")
        status: str
        result: dict[str, Any] | None = None

    class Named(RequestParams):
        model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
        task_id: str

    class Get(Request[Named, Literal["tasks/get"]]):
        method: Literal["tasks/get"] = "tasks/get"
        params: Named
        name_param = "taskId"

    class Tasks(ClientExtension):
        identifier = "io.modelcontextprotocol/tasks"

        def claims(self) -> Any:
            return [ResultClaim(result_type="task", model=Task, resolve=self.follow)]

        async def follow(self, task: Any, context: Any) -> CallToolResult:
            while True:
                asked = Get(params=Named(task_id=task.task_id))
                told = await context.session.send_request(asked, Got)
                polled.append(told.status)
                if told.status != "working":
                    return CallToolResult.model_validate(told.result)
                await by_people()

    async def work(client: Any) -> Any:
        return await client.call_tool("refund_issue", ARGUMENTS)

    told = with_client(live_server, key, work, mode="auto", extensions=[Tasks()])

    assert polled == ["working", "completed"]
    assert told.structured_content["outcome"] == "done"
