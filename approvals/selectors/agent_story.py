"""One request as its agent is told of it: what it has come to, and what to do next.

Agents are often models. What they are told is made here, from facts alone: nothing an agent or an
outside system wrote reaches `message`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import DateTimeField, ExpressionWrapper, OuterRef, QuerySet, Subquery

from approvals.choices import (
    ENDED,
    ENDED_WITHOUT_EFFECT,
    INTAKE,
    DecisionVerdict,
    State,
)
from approvals.exceptions import IntegrityBroken
from approvals.models import ActionRequest
from approvals.selectors.abstentions import told_to_agents
from approvals.selectors.evidence_view import stored_json
from approvals.selectors.outcomes import OUTCOME_OF, Outcome, poll_after
from approvals.selectors.pauses import Stop, stop_of
from approvals.selectors.plan_view import PlanView
from approvals.selectors.plans import steps_of
from approvals.selectors.prior_requests import DAY
from approvals.selectors.request_view import RequestView, prefetched
from approvals.selectors.requests import action_of, stored
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.lib.dates import format_moment
from audit.selectors import events_of
from connectors.catalogue import masked
from connectors.registry import is_by_word, is_read_back
from policies.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Asked:
    """A reviewer's question that waits for its answer."""

    id: int
    text: str
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Decided:
    """What one person decided, in their own name or another's."""

    verdict: str
    reason_code: str
    comment: str
    edits: JsonObject | None
    """Field to [before, after], with what must not be told again masked."""
    version: int
    created_at: datetime


class AgentStory(RequestView):
    """What agents are told of a request; each part is read when it is asked for.

    What `agent_stories` fetched costs no query again.
    """

    @classmethod
    def of(cls, view: RequestView) -> AgentStory:
        """The same request, with all that has been read of it."""
        if isinstance(view, cls):
            return view
        story = cls(view.request)
        vars(story).update(vars(view))
        return story

    def born_with(self, params: JsonObject) -> AgentStory:
        """It was just proposed with these params: nothing has paused, asked or replaced it."""
        self.current_params = params
        self.paused, self.superseded_by = None, None
        self.quiet_for = timedelta(0)
        if not self._has_duplicates:
            self.duplicate_of = None
        return self

    # --- What it is -----------------------------------------------------------------------------

    @cached_property
    def current_params(self) -> JsonObject | None:
        """Those of the current version; None where its bytes are damaged."""
        try:
            return action_of(self.request).params
        except IntegrityBroken:
            return None

    @property
    def shown_params(self) -> JsonObject | None:
        """The same, with what must not be told again masked."""
        params = self.current_params
        if params is None or self.kind is None:
            return params
        return masked(self.kind.schema, params)

    @property
    def decided(self) -> tuple[Decided, ...]:
        """Every decision, in order; who abstained is not for agents."""
        return tuple(
            Decided(
                one.verdict,
                one.reason_code,
                one.comment,
                self._shown_edits(json.loads(one.edits)) if one.edits else None,
                one.version,
                one.created_at,
            )
            for one in told_to_agents(self.decisions)
        )

    def _shown_edits(self, edits: Mapping[str, Any]) -> JsonObject:
        if self.kind is None:
            return dict(edits)
        sides = [{name: pair[side] for name, pair in edits.items()} for side in (0, 1)]
        before, after = (masked(self.kind.schema, side) for side in sides)
        return {name: [before[name], after[name]] for name in edits}

    # --- What it has come to --------------------------------------------------------------------

    @cached_property
    def outcome(self) -> Outcome:
        state = State(self.request.state)
        if state == State.RESOLVED:
            return Outcome.DONE if self.was_applied else Outcome.REFUSED
        if self.is_by_agent and state == State.APPROVED:
            return Outcome.NEEDS_AGENT
        if state == State.EXECUTED and not is_read_back(self.request.action_type):
            return Outcome.DONE
        return OUTCOME_OF[state]

    @cached_property
    def was_applied(self) -> bool:
        """Whether the person who resolved it found it done."""
        return _applied(self.request)

    @property
    def final(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.outcome == Outcome.DONE or self.request.state in ENDED

    @property
    def poll_after(self) -> int | None:
        """In how many seconds to ask again; None for what is final."""
        return None if self.final else poll_after(self.quiet_for)

    @cached_property
    def quiet_for(self) -> timedelta:
        """How long ago it changed last."""
        now: datetime = getattr(self.request, "asked_at", None) or db_clock.now()
        return now - self.request.updated_at

    @cached_property
    def questions(self) -> tuple[Asked, ...]:
        """Every question reviewers asked its agent, in order."""
        return tuple(
            Asked(decision.pk, decision.comment, decision.created_at)
            for decision in self.decisions
            if decision.verdict == DecisionVerdict.REQUEST_CHANGES
        )

    @property
    def question(self) -> Asked | None:
        """The one that waits for its answer."""
        if self.request.state != State.CHANGES_REQUESTED:
            return None
        return self.questions[-1] if self.questions else None

    @cached_property
    def paused(self) -> Stop | None:
        """The pause that holds it now."""
        return None if self.request.state in ENDED else stop_of(self.request)

    # --- What it stands beside ------------------------------------------------------------------

    @cached_property
    def duplicate_of(self) -> UUID | None:
        """Its agent's newest earlier request for the same, proposed in the day before."""
        request = self.request
        if hasattr(request, "same_before"):
            found: UUID | None = request.same_before
            return found
        since = request.created_at - DAY
        return _same_before(request.agent_id, request.business_key, request.pk, since).first()

    @property
    def _has_duplicates(self) -> bool:
        """Whether policy counted any when it was proposed."""
        facts = stored_json(self.policies[-1].decision.facts) if self.policies else {}
        return bool(facts.get("velocity.duplicates"))

    @cached_property
    def superseded_by(self) -> UUID | None:
        """The request that replaced it."""
        if hasattr(self.request, "replaced_by"):
            found: UUID | None = self.request.replaced_by
            return found
        return _replacing(self.request.pk).first()

    # --- What to do next ------------------------------------------------------------------------

    @cached_property
    def message(self) -> str:
        """One paragraph for a model, from facts only."""
        return " ".join(filter(None, (_said_of(self), _said_of_edits(self), _said_of_pause(self))))


class AgentPlan(PlanView):
    """A plan as its agent is told of it."""

    @cached_property
    def steps(self) -> tuple[RequestView, ...]:
        return tuple(agent_stories(steps_of(self.plan)))


def agent_stories(requests: QuerySet[ActionRequest]) -> list[AgentStory]:
    """The requests as agents are told of them, in order and in a fixed number of queries."""
    return [AgentStory(request) for request in for_agents(requests)]


def for_agents(requests: QuerySet[ActionRequest]) -> QuerySet[ActionRequest]:
    """The requests with all that agents are told of them, in a fixed number of queries."""
    found = prefetched(requests).prefetch_related(*stored("contents"))
    since = ExpressionWrapper(OuterRef("created_at") - DAY, DateTimeField())
    same = _same_before(OuterRef("agent"), OuterRef("business_key"), OuterRef("pk"), since)
    return found.annotate(
        same_before=Subquery(same),
        replaced_by=Subquery(_replacing(OuterRef("pk"))),
        asked_at=db_clock.now_in_query(),
    )


def stories_of(request_ids: Sequence[UUID]) -> list[AgentStory]:
    """These requests as their agent is told of them, in this order."""
    told = agent_stories(ActionRequest.objects.filter(pk__in=request_ids))
    found = {story.request.pk: story for story in told}
    return [found[pk] for pk in request_ids]


def _same_before(agent: Any, business_key: Any, pk: Any, since: Any) -> QuerySet[Any, UUID]:
    """Earlier requests for the same that came to something or may, the newest one."""
    earlier = ActionRequest.objects.filter(
        agent=agent, business_key=business_key, pk__lt=pk, created_at__gte=since
    )
    ended = sorted(ENDED_WITHOUT_EFFECT)
    return earlier.exclude(state__in=ended).order_by("-id").values_list("pk", flat=True)[:1]


def _replacing(pk: Any) -> QuerySet[Any, UUID]:
    newer = ActionRequest.objects.filter(supersedes=pk).order_by("-id")
    return newer.values_list("pk", flat=True)[:1]


def _applied(request: ActionRequest) -> bool:
    resolved = events_of(request).filter(code=AuditCode.RESOLVED).last()
    return bool(resolved and json.loads(resolved.data).get("applied"))


# --- What is said of it ---------------------------------------------------------------------------

_NOT_YET = "NOT done yet."
_NOT_AGAIN = "Do not propose it again; ask for this request again later."
_REDEEM = "take the grant with redeem/, do exactly its params once, and report with report/."
_HIGHER = "It counts one risk tier higher, because you carry it out yourself."
_ONCE = "Do NOT do it a second time."
_AS_IT_IS = "Do not repeat it unchanged."
_UNCHANGED = f"Nothing was done. {_AS_IT_IS}"


def _said_of(story: AgentStory) -> str:
    request, state = story.request, State(story.request.state)
    if state in INTAKE:
        return f"{_NOT_YET} It is being looked at. {_NOT_AGAIN}"
    match state:
        case State.PENDING_APPROVAL:
            own = (_HIGHER,) if story.is_by_agent else ()
            until = _until(request.decide_by)
            return " ".join((_NOT_YET, *_people(story), *own, until, _NOT_AGAIN))
        case State.CHANGES_REQUESTED:
            return (
                f"{_NOT_YET} A reviewer asks you something (question). Answer it with answer/."
                f" {_until(request.answer_by)}"
            )
        case State.APPROVED if story.is_by_agent:
            until = _until(request.execute_by)
            return f"Approved, and {_NOT_YET} Carry it out yourself: {_REDEEM} {until}".rstrip()
        case State.APPROVED:
            return f"Approved, and {_NOT_YET} {_to_begin(story)} {_NOT_AGAIN}"
        case State.EXECUTING if story.is_by_agent:
            return f"{_NOT_YET} Its grant has been redeemed, and it waits for the report. {_ONCE}"
        case State.EXECUTED if story.is_by_agent:
            return "Reported by the agent, not verified: you said that it is done."
        case State.EXECUTING:
            return f"{_NOT_YET} It is being carried out now. {_NOT_AGAIN}"
        case State.EXECUTED if not is_read_back(request.action_type):
            return "Done, as the tool says: verification is not available."
        case State.EXECUTED:
            return f"It was carried out, and the effect is being read back. {_NOT_AGAIN}"
        case State.OUTCOME_UNKNOWN:
            return "Nobody knows whether it was done. People find out. Do NOT repeat it."
        case State.VERIFICATION_FAILED:
            return (
                "It was carried out, and what is there is not what was approved or could not be "
                "read. People find out. Do NOT repeat it."
            )
        case State.VERIFIED | State.AUDITED:
            return "Done: carried out, and read back as approved."
        case State.COMPENSATED:
            return "It was done, and has been undone since. Do not repeat it unchanged."
        case State.RESOLVED:
            found = "was done" if story.was_applied else "was not done"
            return f"Its outcome was unclear. A person found out that it {found}."
        case State.DENIED:
            return f"Policy denied it. {_rules(story)}{_UNCHANGED}"
        case State.REJECTED:
            return f"A reviewer rejected it{_reason(story)}. {_UNCHANGED}"
        case State.WITHDRAWN:
            return "It was withdrawn. Nothing was done."
        case State.EXPIRED:
            return (
                "Time ran out: nobody said no, and nothing was done. "
                "Propose it again if it is still wanted."
            )
        case State.FAILED if is_by_word(request.action_type):
            who = "You reported" if story.is_by_agent else "execution.problem says"
            return f"{who} that it failed. {_AS_IT_IS}"
        case _:  # failed
            return (
                "It was approved, and the target refused it or a pause stopped it "
                f"(execution.problem). {_UNCHANGED}"
            )


def _people(story: AgentStory) -> Iterator[str]:
    waiting = [one for one in story.requirements if not one.met]
    asked = ", ".join(f"{one.group} ({one.met_count} of {one.quorum})" for one in waiting)
    yield f"It waits for people: {asked}." if asked else "It waits for people."
    if story.gaps:
        yield "They cannot approve it before evidence_gaps is empty."


def _to_begin(story: AgentStory) -> str:
    until = _until(story.request.execute_by)
    if story.kind is not None and story.kind.supervised:
        return f"A person starts it. {until}".rstrip()
    return f"It is carried out without you. {until}".rstrip()


def _until(at: datetime | None) -> str:
    return f"Otherwise it expires on {format_moment(at)}." if at else ""


def _rules(story: AgentStory) -> str:
    policy = story.policy
    rules = [rule.rule for rule in policy.matched if rule.effect == Verdict.DENY] if policy else []
    return f"Rules: {', '.join(rules)}. " if rules else ""


def _reason(story: AgentStory) -> str:
    said = [one for one in story.decisions if one.verdict == DecisionVerdict.REJECT]
    return f" ({said[-1].reason_code})" if said and said[-1].reason_code else ""


def _said_of_edits(story: AgentStory) -> str:
    edited = any(one.verdict == DecisionVerdict.EDIT for one in story.decisions)
    if not edited or story.outcome == Outcome.REFUSED:
        return ""
    return "A reviewer changed it: params and effect say what counts, not what you proposed."


def _said_of_pause(story: AgentStory) -> str:
    if story.paused is None:
        return ""
    return f"It is held by a pause (paused); {story.paused.resumed_by} can end it."
