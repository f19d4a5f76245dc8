"""Carrying out a call of a tool: one service call, and an answer within about three seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from approvals.api.grant_views import RedeemSerializer, ReportSerializer
from approvals.api.preflight_output import ForeseenOutput
from approvals.api.serializers import AnswerSerializer, ReasonSerializer, StrictSerializer
from approvals.api.views import answered, demand_key, proposal_from
from approvals.api.waiting import wait_for_change, wait_until
from approvals.choices import INTAKE, State
from approvals.exceptions import FieldProblem, InvalidProposal
from approvals.mcp import tools
from approvals.mcp.protocol import IDEMPOTENCY_KEY, INVALID_PARAMS, Call, ProtocolError
from approvals.mcp.results import facts, granted
from approvals.models import ActionRequest, Agent
from approvals.selectors.agent_story import AgentStory, stories_of
from approvals.selectors.requests import request_of_agent
from approvals.services import agent_replies
from approvals.services.dry_run import check
from approvals.services.propose import propose
from approvals.services.redeem import Report, Reported, redeem, report
from approvals.services.repeats import key_of_call
from approvals.services.undo import propose_undo
from audit.lib.canonical import JsonObject
from connectors.catalogue import ActionType

ANSWER_WITHIN = 2.5  # seconds
"""How long a call waits for what goes on by itself; for people it never waits."""

_GOES_ON = INTAKE | {State.APPROVED, State.EXECUTING, State.EXECUTED}


def _goes_on(kind: ActionType) -> frozenset[State]:
    """The states of such an action that end by themselves."""
    if kind.by_agent:
        return frozenset(INTAKE)
    return frozenset(_GOES_ON if kind.is_read_back else _GOES_ON - {State.EXECUTED})


def run(call: Call, agent: Agent) -> AgentStory | JsonObject:
    """What the tool did: a request as it stands now, or a finished result.

    Raises ProtocolError for a tool the agent has not, and what services raise.
    """
    name, arguments = call.params.get("name"), call.params.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise ProtocolError(INVALID_PARAMS, "name is text and arguments an object.")
    kind = tools.kind_called(name, agent)
    if kind is not None:
        return _propose(kind, name, arguments, call, agent)
    follow_up = _FOLLOW_UP.get(name)
    if follow_up is None:
        raise ProtocolError(INVALID_PARAMS, f"There is no tool {name[:80]!r} for this key.")
    return follow_up(arguments, call, agent)


def story_of(request_id: UUID) -> AgentStory:
    """The request as it is now."""
    (story,) = stories_of([request_id])
    return story


def _propose(
    kind: ActionType, name: str, arguments: JsonObject, call: Call, agent: Agent
) -> AgentStory:
    proposal = proposal_from(_body(kind, arguments), agent, call.signature)
    key = _key_sent(call) or key_of_call(agent, name, arguments)
    request = propose(proposal, agent=agent, idempotency_key=key).request
    goes_on = _goes_on(kind)
    if request.state in goes_on:
        states = ActionRequest.objects.filter(pk=request.pk).values_list("state", flat=True)
        wait_until(lambda: states.all().first() not in goes_on, ANSWER_WITHIN, agent_id=agent.pk)
    return story_of(request.pk)


def _body(kind: ActionType, arguments: JsonObject) -> JsonObject:
    """The proposal the arguments are: the same message as over HTTP."""
    params = {name: value for name, value in arguments.items() if name != tools.INTENT}
    body: JsonObject = {"action_type": kind.key, "params": params}
    return {**body, tools.INTENT: arguments[tools.INTENT]} if tools.INTENT in arguments else body


def _key_sent(call: Call) -> str:
    key = call.meta.get(IDEMPOTENCY_KEY)
    if key is None:
        return ""
    if not isinstance(key, str):
        raise ProtocolError(INVALID_PARAMS, f"{IDEMPOTENCY_KEY} is text.")
    return demand_key(key)


def _status(arguments: JsonObject, call: Call, agent: Agent) -> AgentStory:
    _demand_known(arguments, "id", "wait")
    request = _own(arguments, agent)
    wait = arguments.get("wait", 0)
    if isinstance(wait, bool) or not isinstance(wait, int) or wait < 0:
        raise InvalidProposal([FieldProblem("wait", "A whole number of seconds.")])
    if wait and not story_of(request.pk).final:
        seconds = min(wait, tools.LONGEST_STATUS_WAIT)
        wait_for_change(request.pk, request.state, seconds, agent_id=agent.pk)
    return story_of(request.pk)


def _answer(arguments: JsonObject, call: Call, agent: Agent) -> AgentStory:
    request = _own(arguments, agent)
    body = _valid(AnswerSerializer, arguments)
    agent_replies.answer(request.pk, agent=agent, body=body["answer"])
    return story_of(request.pk)


def _withdraw(arguments: JsonObject, call: Call, agent: Agent) -> AgentStory:
    request = _own(arguments, agent)
    reason = _valid(ReasonSerializer, arguments)["reason"]
    agent_replies.withdraw(request.pk, agent=agent, reason=reason)
    return story_of(request.pk)


def _undo(arguments: JsonObject, call: Call, agent: Agent) -> AgentStory:
    request = _own(arguments, agent)
    reason = _valid(ReasonSerializer, arguments)["reason"]
    undo = propose_undo(
        request.pk, reason=reason, idempotency_key=_key_sent(call), signature=call.signature
    )
    return story_of(undo.request.pk)


def _check(arguments: JsonObject, call: Call, agent: Agent) -> JsonObject:
    _demand_known(arguments, "tool", "arguments")
    name, inner = arguments.get("tool"), arguments.get("arguments", {})
    kind = tools.kind_called(name, agent) if isinstance(name, str) else None
    if kind is None or not isinstance(inner, dict):
        problem = FieldProblem("tool", "The name of a tool that proposes, with its arguments.")
        raise InvalidProposal([problem])
    body = _body(kind, {tools.INTENT: "Asked beforehand.", **inner})
    foreseen = check(proposal_from(body, agent, call.signature), agent=agent)
    return facts(answered(ForeseenOutput, foreseen))


def _redeem(arguments: JsonObject, call: Call, agent: Agent) -> JsonObject:
    request = _own(arguments, agent)
    redeemer = _valid(RedeemSerializer, arguments)["redeemer"]
    return granted(redeem(request.pk, agent=agent, redeemer=redeemer))


def _report(arguments: JsonObject, call: Call, agent: Agent) -> AgentStory:
    request = _own(arguments, agent)
    said = _valid(ReportSerializer, arguments)
    report(request.pk, agent=agent, said=Report(**{**said, "outcome": Reported(said["outcome"])}))
    return story_of(request.pk)


_FOLLOW_UP: dict[str, Callable[[JsonObject, Call, Agent], AgentStory | JsonObject]] = {
    tools.STATUS: _status,
    tools.ANSWER: _answer,
    tools.WITHDRAW: _withdraw,
    tools.UNDO: _undo,
    tools.CHECK: _check,
    tools.REDEEM: _redeem,
    tools.REPORT: _report,
}


def _own(arguments: JsonObject, agent: Agent) -> ActionRequest:
    try:
        request_id = UUID(str(arguments.get("id", "")))
    except ValueError:
        raise InvalidProposal([FieldProblem("id", "The id of a request of yours.")]) from None
    return request_of_agent(request_id, agent)


def _valid(kind: type[StrictSerializer], arguments: JsonObject) -> dict[str, Any]:
    body = kind(data={name: value for name, value in arguments.items() if name != "id"})
    body.is_valid(raise_exception=True)
    found: dict[str, Any] = body.validated_data
    return found


def _demand_known(arguments: JsonObject, *names: str) -> None:
    unknown = sorted(set(arguments) - set(names))
    if unknown:
        raise InvalidProposal([FieldProblem(name[:60], "Unknown.") for name in unknown])
