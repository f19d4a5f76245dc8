"""One request as it is shown: to reviewers, to readers of its record and to agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from django.db.models import QuerySet, prefetch_related_objects

from approvals.choices import (
    FINAL_VERDICTS,
    INTAKE,
    UNDOABLE,
    WAITING_FOR_PEOPLE,
    DecisionVerdict,
    State,
)
from approvals.inspection import inspect_all, reveal, strings_in
from approvals.models import (
    ActionRequest,
    Compensation,
    Decision,
    Execution,
    PolicyDecision,
    RequestContent,
    Requirement,
)
from approvals.selectors import causes
from approvals.selectors.authority import approval_of, approvals_of
from approvals.selectors.case import amount_of
from approvals.selectors.chains import InSession, others_in_session
from approvals.selectors.evidence_gaps import Gap, gaps_at_evaluation
from approvals.selectors.evidence_view import (
    Line,
    PolicyShown,
    Reading,
    Source,
    flag_words,
    other_amounts,
    params_as_lines,
    reading_shown,
    source_shown,
    stored_json,
)
from approvals.selectors.impact import Impact, impact_of
from approvals.selectors.lines import HistoryLine, ThreadLine, history_line, thread_line
from approvals.selectors.requests import (
    action_of,
    contents_of,
    evidence_of,
    policy_decisions_of,
    proposal_of,
    reading_of,
    stored,
    thread_of,
    with_thread_seen,
)
from approvals.selectors.viewer_permissions import name_of, name_of_person
from audit.lib.money import Money
from audit.selectors import first_events_of
from connectors.catalogue import ActionType
from connectors.registry import UnknownActionType, action_type
from policies.quorum import progress
from policies.verdicts import RequirementSpec

_SIMILAR = 5


@dataclass(frozen=True, slots=True)
class RequirementShown:
    """One requirement, how far it is met, and by whom."""

    group: str  # a team's code, or as policy has it: "owner:data"
    quorum: int
    stage: int = 1
    minimum: str | None = None  # the amount a limit must cover, "2000.00 EUR"
    met: bool = False
    met_count: int = 0
    is_open: bool = True
    escalated_to: str = ""
    within_limit: bool = False
    given_by: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    alarm: str = ""
    who: str = ""  # as people read it


@dataclass(frozen=True, slots=True)
class ProposalShown:
    """What the agent wrote of its own accord, made visible: never trusted, always marked."""

    intent: str
    flags: tuple[str, ...]
    other_amounts: tuple[str, ...]
    alternatives: tuple[tuple[str, str], ...]
    undo_note: str
    confidence: str
    model: tuple[Line, ...]
    callback_url: str


@dataclass(frozen=True, slots=True)
class VersionShown:
    """One version of what is to be done, whether its bytes are intact or not."""

    number: int
    is_current: bool
    digest: str
    is_intact: bool
    edited_by: str
    params: tuple[Line, ...]
    canonical: str


def prefetched(requests: QuerySet[ActionRequest]) -> QuerySet[ActionRequest]:
    """The requests with all that agents are told of them, in a fixed number of queries."""
    return requests.select_related("agent").prefetch_related(
        *stored("requirements", "decisions", "policy_decisions"), "executions__verifications"
    )


def for_review(requests: QuerySet[ActionRequest]) -> QuerySet[ActionRequest]:
    """The requests with what the review page looks at several times."""
    named = stored("requirements", "decisions", "contents", "policy_decisions")
    related = requests.select_related("agent__owner", "requested_by").prefetch_related(*named)
    return with_thread_seen(related)


class RequestView:
    """One request as people and agents are shown it; each part is read when it is asked for.

    Text from outside has passed `reveal`. What `prefetched` fetched costs no query again.
    """

    def __init__(self, request: ActionRequest) -> None:
        self.request = request

    @classmethod
    def of_new(
        cls, request: ActionRequest, policy: PolicyDecision, requirements: Sequence[Requirement]
    ) -> RequestView:
        """A request that was just born, from the rows in hand: nobody has decided anything yet."""
        view = cls(request)
        view.policies, view.current_requirements = (PolicyShown(policy),), tuple(requirements)
        view.decisions, view.execution = (), None
        return view

    # --- What it is -----------------------------------------------------------------------------

    @cached_property
    def kind(self) -> ActionType | None:
        """Its action type; None when that is retired: the record stays readable."""
        try:
            return action_type(self.request.action_type)
        except UnknownActionType:
            return None

    @property
    def is_by_agent(self) -> bool:
        """Whether the agent carries it out itself, on a grant."""
        return self.kind is not None and self.kind.by_agent

    @property
    def effect(self) -> str:
        return reveal(self.request.effect)

    @property
    def target(self) -> str:
        return reveal(self.request.target)

    @property
    def on_behalf_of(self) -> str:
        return reveal(self.request.on_behalf_of)

    @cached_property
    def amount(self) -> Money | None:
        return amount_of(self.request)

    @cached_property
    def params(self) -> tuple[Line, ...]:
        """What is done now. Raises IntegrityBroken when it is not what was digested."""
        return params_as_lines(action_of(self.request).params, self.amount)

    @cached_property
    def versions(self) -> tuple[VersionShown, ...]:
        """Every version, newest first, as it is stored: records are read when things went wrong."""
        return tuple(self._version(content) for content in reversed(contents_of(self.request)))

    # --- What policy said -----------------------------------------------------------------------

    @property
    def verdict(self) -> str | None:
        return self.request.verdict or None

    @cached_property
    def policies(self) -> tuple[PolicyShown, ...]:
        """Every evaluation, the newest first."""
        return tuple(PolicyShown(said) for said in reversed(policy_decisions_of(self.request)))

    @cached_property
    def policy(self) -> PolicyShown | None:
        """What policy said that led to the state the request is in."""
        return causes.caused_by(self.request, self.policies)

    @cached_property
    def asked(self) -> PolicyShown | None:
        """What policy said when people were asked, or nobody had to be: it stays what it was."""
        return causes.asked_by(self.policies) or self.policy

    @cached_property
    def checks(self) -> tuple[causes.OtherCheck, ...]:
        """Every other time policy was asked, the oldest first."""
        return causes.other_checks(self.policies, but=self.asked)

    # --- What is known --------------------------------------------------------------------------

    @cached_property
    def reading(self) -> Reading | None:
        return reading_shown(reading_of(self.request))

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        return tuple(source_shown(item) for item in evidence_of(self.request))

    @property
    def from_system(self) -> tuple[Source, ...]:
        return tuple(source for source in self.sources if source.is_system)

    @property
    def from_agent(self) -> tuple[Source, ...]:
        return tuple(s for s in self.sources if not (s.is_system or s.is_person))

    @property
    def from_people(self) -> tuple[Source, ...]:
        return tuple(source for source in self.sources if source.is_person)

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """What keeps it from being approved, as policy saw it last; nothing once it is decided."""
        if self.policy is None or self.request.state not in WAITING_FOR_PEOPLE:
            return ()
        return gaps_at_evaluation(self.policy.decision)

    @cached_property
    def impact(self) -> Impact | None:
        """What it would do and what a mistake would cost; None where policy was not asked."""
        return impact_of(stored_json(self.asked.decision.facts)) if self.asked else None

    @cached_property
    def proposal(self) -> ProposalShown:
        return _proposal(self.request, self.amount)

    @cached_property
    def thread(self) -> tuple[ThreadLine, ...]:
        return tuple(thread_line(entry) for entry in thread_of(self.request))

    # --- Who decides, and who did ---------------------------------------------------------------

    @cached_property
    def current_requirements(self) -> tuple[Requirement, ...]:
        """The current version's rows, in order."""
        found = [r for r in self.request.requirements.all() if r.version == self.request.version]
        return tuple(sorted(found, key=lambda r: (r.stage, r.pk)))

    @cached_property
    def requirements(self) -> tuple[RequirementShown, ...]:
        """What the current version requires of people, in order, with who has met it."""
        yes, current = (self.request.version, DecisionVerdict.APPROVE), self.current_requirements
        approvals = [d for d in self.decisions if (d.version, d.verdict) == yes]
        if any(r.excludes for r in current):
            given = approvals_of(self.request)  # reads their roles as well
        else:
            given = [approval_of(d) for d in approvals if d.requirement is not None]
        names = {d.decider.person: _named(d) for d in approvals}
        return tuple(
            RequirementShown(
                group=requirement.shown_to_agents,
                quorum=requirement.quorum,
                stage=requirement.stage,
                minimum=minimum_of(requirement.spec, self.amount),
                met=state.met,
                met_count=state.met_count,
                is_open=state.open,
                escalated_to=requirement.escalated_name,
                alarm=requirement.alarm,
                who=requirement.who,
                within_limit=requirement.within_limit,
                given_by=tuple(names[person] for person in state.by if person in names),
                alternatives=requirement.alternative_names,
                excludes=requirement.spec.excludes,
            )
            for requirement, state in zip(
                current, progress([r.spec for r in current], given), strict=True
            )
        )

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions on any version, in order."""
        prefetch_related_objects([self.request], *stored("decisions"))
        return tuple(self.request.decisions.all())

    @property
    def was_broken(self) -> bool:
        """Whether somebody approved it alone by break-glass."""
        return any(one.verdict == DecisionVerdict.BREAK_GLASS for one in self.decisions)

    @cached_property
    def similar(self) -> tuple[Decision, ...]:
        """The last decisions of people on the same kind of action, newest first."""
        decided = Decision.objects.filter(
            request__action_type=self.request.action_type, verdict__in=FINAL_VERDICTS
        ).exclude(request=self.request)
        return tuple(decided.select_related("request", "decider").order_by("-id")[:_SIMILAR])

    @cached_property
    def session(self) -> tuple[InSession, ...]:
        """What else its agent did in the same session, what ran first."""
        return others_in_session(self.request)

    @cached_property
    def read_in_session(self) -> tuple[str, ...]:
        """Classes of what the agent says it had read there, when people were asked."""
        facts = stored_json(self.asked.decision.facts) if self.asked else {}
        return tuple(facts.get("session.sources", ()))

    # --- What came of it ------------------------------------------------------------------------

    @cached_property
    def execution(self) -> Execution | None:
        """The newest execution, whatever became of it."""
        if self.request.state in INTAKE | WAITING_FOR_PEOPLE:  # none has begun
            return None
        return max(self.request.executions.all(), key=lambda e: e.pk, default=None)

    @cached_property
    def cause(self) -> str:
        """Why it was denied, sent back or did not go well, in a sentence; "" where all is well."""
        return causes.cause_of(self.request, self.policy, lambda: self.execution)

    @cached_property
    def undo(self) -> ActionRequest | None:
        """The undo that is open or done."""
        if self.request.state not in UNDOABLE | {State.COMPENSATED}:
            return None
        links = Compensation.objects.filter(original=self.request, is_active=True)
        link = links.select_related("undo").first()
        return link.undo if link else None

    @cached_property
    def history(self) -> tuple[HistoryLine, ...]:
        return tuple(history_line(event) for event in first_events_of(self.request))

    def _version(self, content: RequestContent) -> VersionShown:
        action = stored_json(content.action)
        is_current = content.version == self.request.version
        same_digest = not is_current or content.digest == self.request.digest
        params = action.get("params", {})
        return VersionShown(
            number=content.version,
            is_current=is_current,
            digest=content.digest,
            is_intact=content.is_intact and same_digest,
            edited_by=content.edited_by.get_username() if content.edited_by else "",
            params=params_as_lines(params if isinstance(params, dict) else {}, self.amount),
            canonical=reveal(content.action),
        )


def minimum_of(spec: RequirementSpec, amount: Money | None) -> str | None:
    """The amount somebody's limit must cover, as agents read it ("2000.00 EUR")."""
    needed = amount if spec.within_limit else None
    return None if needed is None else f"{needed.decimal} {needed.currency}"


def _named(decision: Decision) -> str:
    name, delegator = name_of(decision.decider), decision.on_behalf_of
    return f"{name} on behalf of {name_of_person(delegator)}" if delegator else name


def _proposal(request: ActionRequest, amount: Money | None) -> ProposalShown:
    proposal = proposal_of(request)
    confidence = proposal.confidence
    texts = [proposal.intent, proposal.undo_note, *strings_in(list(proposal.alternatives))]
    return ProposalShown(
        intent=reveal(proposal.intent),
        flags=flag_words(inspect_all(texts), *texts),
        other_amounts=other_amounts(proposal.intent, amount),
        alternatives=tuple(
            (reveal(str(a.get("summary", ""))), reveal(str(a.get("risk", ""))))
            for a in proposal.alternatives
        ),
        undo_note=reveal(proposal.undo_note),
        confidence="" if confidence is None else f"{confidence:.0%}",
        model=tuple(Line(reveal(k), reveal(str(v))) for k, v in proposal.model.items()),
        callback_url=reveal(proposal.callback_url),
    )
