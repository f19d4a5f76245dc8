"""An agent that enforces, over AuthZEN: it evaluates, requests, and evaluates again."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from approvals.models import ActionRequest, Agent
from audit.lib.canonical import JsonObject
from tests.approvals.agents_own import COMMAND
from tests.approvals.make import make_key

EVIDENCE = [{"kind": "risk_analysis", "title": "Risk analysis", "excerpt": "Small."}]


class Enforcer:
    """The enforcement point of one agent."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.headers = {"Authorization": f"Bearer {make_key(agent)}"}

    def post(self, path: str, body: Any, **headers: str) -> Any:
        return Client(raise_request_exception=False).post(
            f"/access/v1/{path}",
            body if isinstance(body, str) else json.dumps(body),
            content_type="application/json",
            headers=self.headers | headers,
        )

    def get(self, path: str) -> Any:
        return Client(raise_request_exception=False).get(path, headers=self.headers)

    def asked(self, params: JsonObject | None = None, **changed: Any) -> dict[str, Any]:
        """An evaluation of a command."""
        given = COMMAND if params is None else params
        return {
            "subject": {"type": "agent", "id": self.agent.name},
            "action": {"name": "command.run"},
            "resource": {
                "type": "workstation",
                "id": f'"{given["directory"]}" on {given["host"]}',
                "properties": given,
            },
            "context": {"intent": "Deploy the fix.", "evidence": EVIDENCE},
            **changed,
        }

    def evaluate(self, asked: Any = None) -> Any:
        """The decision with its context."""
        answer = self.post("evaluation", asked or self.asked())
        assert answer.status_code == 200, answer.content
        return answer.json()

    def denial(self, asked: Any = None) -> dict[str, Any]:
        """What is echoed of a denial that may be followed by a request."""
        context = self.evaluate(asked)["context"]
        return {
            "evaluation_id": context["evaluation_id"],
            "expires_at": context["access_request"]["expires_at"],
            "binding_token": context["access_request"]["binding_token"],
            "reason": context["reason"],
        }

    def request(self, asked: Any = None, **headers: str) -> Any:
        """A request for what has just been denied."""
        asked = asked or self.asked()
        return self.post("requests", {**asked, "denial": self.denial(asked)}, **headers)

    def requested(self, asked: Any = None) -> ActionRequest:
        answer = self.request(asked)
        assert answer.status_code == 202, answer.content
        return ActionRequest.objects.get(pk=answer.json()["task"]["id"])

    def task(self, request: ActionRequest) -> Any:
        return self.get(f"/access/v1/requests/{request.pk}").json()

    def approval(self, request: ActionRequest) -> dict[str, Any]:
        found: dict[str, Any] = self.task(request)["result"]["approval"]
        return found

    def use(self, approval: Any, asked: Any = None) -> Any:
        """The evaluation with that approval."""
        asked = asked or self.asked()
        context = {**asked.get("context", {}), "approval": approval}
        return self.evaluate({**asked, "context": context})
