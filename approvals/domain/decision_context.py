"""One person before one request: locked, looked at, and everything that refuses them.

A fresh proof of identity is demanded where policy's matrix asks for one, and always for
break-glass. Saying no never needs one. Where a tier is not known yet, it counts as the highest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from approvals.choices import FINAL_VERDICTS, DecisionVerdict, ReasonCode, State
from approvals.domain import integrity, notifications
from approvals.domain.derivation import demand_intact
from approvals.domain.transitions import Moves
from approvals.exceptions import (
    AlreadyDecided,
    FactsNotConfirmed,
    IntegrityBroken,
    NotAuthorised,
    Paused,
    ReasonRequired,
    StalePage,
    StepUpRequired,
    WrongState,
)
from approvals.models import (
    ActionRequest,
    Decision,
    Grant,
    IntegrityIncident,
    PolicyDecision,
    Requirement,
    ShownContent,
)
from approvals.selectors.authority import authorise, people_decided
from approvals.selectors.case import day_asked, ownership_asked
from approvals.selectors.facts_to_confirm import facts_to_confirm
from approvals.selectors.pauses import stop_asked, stop_of
from approvals.selectors.requests import (
    agent_locked,
    agent_locked_asked,
    decisions_of,
    forget_read,
    is_asked,
    policy_decision_of,
    read_at_once,
    rows_of,
)
from approvals.selectors.review_snapshot import ReviewedSnapshot, ReviewSnapshot, snapshot_of
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject, canonical
from audit.lib.dates import format_moment
from audit.lib.db import insert_one, is_postgres
from audit.lib.money import Money
from audit.lib.prepared import Asked, Given, NextKeys, Prepared, asked_together
from audit.lib.writes import Insert
from audit.services import Entry, record
from policies.authority import Authority, account_asked
from policies.models import Delegation, Reauthentication, User
from policies.services.passwords import current_proof

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """One authorised person before one locked, current request."""

    request: ActionRequest
    decider: User
    requirement: Requirement
    authority: Authority
    policy: PolicyDecision
    shown: ReviewSnapshot
    moves: Moves

    @property
    def at(self) -> datetime:
        """When the request had been locked, by the database's clock."""
        return self.moves.at


@dataclass(frozen=True, slots=True)
class BreakGlassContext:
    """One person who approves by break-glass, in the place of everybody required."""

    request: ActionRequest
    decider: User
    authority: Authority
    policy: PolicyDecision
    shown: ReviewSnapshot
    moves: Moves
    requirement: None = None


def refusals_recorded(
    attempted: DecisionVerdict,
) -> Callable[[Callable[Concatenate[UUID, P], R]], Callable[Concatenate[UUID, P], R]]:
    """Keep a refused attempt in the trail, although its own transaction is gone."""

    def decorate(service: Callable[Concatenate[UUID, P], R]) -> Callable[Concatenate[UUID, P], R]:
        @wraps(service)
        def recording(request_id: UUID, /, *args: P.args, **kwargs: P.kwargs) -> R:
            try:
                with transaction.atomic():
                    return service(request_id, *args, **kwargs)
            except NotAuthorised as refusal:
                decider = kwargs["decider"]
                assert isinstance(decider, User)  # noqa: S101 - narrows for the type checker
                record_refusal(request_id, decider, attempted, refusal)
                raise
            except IntegrityBroken as broken:
                decider = kwargs["decider"]
                assert isinstance(decider, User)  # noqa: S101 - narrows for the type checker
                integrity.report(
                    request_id,
                    broken,
                    found_by=IntegrityIncident.FoundBy.DECISION,
                    actor=Actor.human(decider),
                )
                raise

        return recording

    return decorate


@transaction.atomic
def record_refusal(
    request_id: UUID, decider: User, attempted: DecisionVerdict, refusal: NotAuthorised
) -> None:
    """Put a refused attempt on record, once its own transaction is gone."""
    record(
        AuditCode.DECISION_REFUSED,
        actor=Actor.human(decider),
        subject=ActionRequest.objects.locked(request_id),
        data={"reason": refusal.code, "attempted": attempted.value},
    )


def begin_decision(
    request_id: UUID,
    decider: User,
    reviewed: ReviewedSnapshot,
    *,
    needs_limit: bool = True,
    amount: Money | None = None,
    as_step: bool = False,
    approving: bool = False,
) -> DecisionContext:
    """Lock, then look: state, page, person, in that order.

    The person's accounts, and those of whoever delegates authority to them, are locked after the
    request: of two requests approved on one person's authority at the same moment, the second
    counts the first against the limit of the day.

    `amount` is the amount an edit leads to: the person must have authority over that as well.
    `as_step`: the caller decides the plan it belongs to as a whole, or hands it to somebody else.
    `approving` demands a running agent (`demand_running_agent`) of whoever has that authority.
    """
    request, decider, shown, at = lock_and_check(request_id, decider, reviewed, as_step=as_step)
    keys = NextKeys(Decision, Grant)
    if approving:
        asked: list[Asked] = [keys, agent_locked_asked(request), stop_asked(request)]
    else:
        asked = []
    with asked_together(
        *asked,
        ownership_asked(request),
        *account_asked(decider),
        *day_asked(decider.person, request, at=at),
    ):
        requirement, authority = authorise(
            decider, request, needs_limit=needs_limit, at=at, amount=amount
        )
        moves = Moves(request, at, keys.drawn() if approving else {})
        if approving:
            demand_running_agent(request)
    policy = policy_decision_of(request)
    if policy is None:
        raise WrongState("This request has no policy decision; it cannot be decided.")
    return DecisionContext(request, decider, requirement, authority, policy, shown, moves)


def lock_and_check(
    request_id: UUID, decider: User, reviewed: ReviewedSnapshot, *, as_step: bool = False
) -> tuple[ActionRequest, User, ReviewSnapshot, datetime]:
    """The locked request, the account as it is now, what its page shows, and the time.

    State and page are checked, and that no step of a plan is decided by itself.
    """
    request = ActionRequest.objects.locked(request_id)
    decider = _locked_account(decider)
    with asked_together(*rows_of(request.pk)) as at:
        read_at_once(request)
    if request.state != State.PENDING_APPROVAL:
        raise WrongState(_moved_on(request))
    if request.plan_id is not None and not as_step:
        raise WrongState(
            "This is a step of a plan: decide the plan as a whole, on its own page.",
            code="part_of_plan",
        )
    if reviewed.request_id != request.pk or reviewed.user_id != decider.pk:
        raise StalePage("This form belongs to another page. Reload it and look again.")
    if any(decision.nonce == reviewed.nonce for decision in decisions_of(request)):
        raise AlreadyDecided("This page has been used already. Your first answer counts.")
    if decider.person in people_decided(request):
        raise AlreadyDecided(
            "You have decided on this already, or somebody did on your behalf. "
            "One person counts once."
        )
    if request.decide_by is not None and request.decide_by <= at:
        raise WrongState("The time to decide this has run out.")
    shown = snapshot_of(request)
    if reviewed.version != request.version or reviewed.shown_digest != shown.digest:
        raise StalePage("This has changed since you opened it. Reload it and look again.")
    demand_intact(request)
    return request, decider, shown, at


def record_decision(
    context: DecisionContext | BreakGlassContext,
    reviewed: ReviewedSnapshot,
    verdict: DecisionVerdict,
    reason_code: str,
    comment: str,
    edits: str = "",
    proof: Reauthentication | None = None,
    is_written_with_moves: bool = False,
) -> Decision:
    """Store the decision, note its event and what was shown; the caller writes the moves.

    `is_written_with_moves`: the decision too, by a caller who reads nothing before. What was read
    of the request before is not in hand any more.
    """
    forget_read(context.request)
    request, decider, at = context.request, context.decider, context.moves.at
    authority, shown = context.authority, context.shown
    content = ShownContent(digest=shown.digest, body=shown.body, created_at=at)
    context.moves.together(Insert([content], unless_there=True))  # others saw the same
    visible_seconds = reviewed.visible_until(at)
    opened = sorted(reviewed.evidence_opened & shown.evidence)
    decision = Decision(
        request=request,
        version=request.version,
        requirement=context.requirement,
        decider=decider,
        person=decider.person,
        group=authority.group,
        on_behalf_of=authority.on_behalf_of,
        delegation_id=authority.delegation_id,
        verdict=verdict,
        reason_code=reason_code,
        comment=comment,
        edits=edits,
        confirmed=canonical(sorted(reviewed.confirmed)) if reviewed.confirmed else "",
        visible_seconds=visible_seconds,
        evidence_opened=canonical(opened) if opened else "",
        authentication=proof,
        limit_minor=authority.limit_minor,
        amount_minor=request.amount_minor,
        currency=request.currency,
        digest=request.digest,
        shown_id=shown.digest,
        nonce=reviewed.nonce,
        opened_at=reviewed.opened_at,
        created_at=at,
    )
    if is_written_with_moves:
        context.moves.store_keyed(decision)
    else:
        insert_one(decision)
    data: JsonObject = {
        "decision": decision.pk,
        "verdict": verdict.value,
        "group": authority.group,
        "person": decider.person,
        "on_behalf_of": authority.on_behalf_of,
        "delegation": authority.delegation_id,
        "limit_minor": authority.limit_minor,
        "authentication": proof.method if proof else "",
        "digest": request.digest,
        "shown": shown.digest,
        "reason_code": reason_code,
        "confirmed": sorted(reviewed.confirmed),
        "visible_seconds": visible_seconds,
        "evidence_opened": opened,
        "opened_at": reviewed.opened_at.isoformat(),
    }
    entry = Entry(AuditCode.DECISION_RECORDED, Actor.human(decider), request.state, data)
    context.moves.also(entry)
    if authority.on_behalf_of and verdict != DecisionVerdict.ABSTAIN:
        notifications.used_on_behalf(request, authority.on_behalf_of)
    return decision


def _moved_on(request: ActionRequest) -> str:
    last = request.decisions.order_by("-id").first()
    if last is not None and last.verdict in FINAL_VERDICTS:
        when = format_moment(last.created_at)
        return f"This is {request.get_state_display()} now: {last.person} decided on {when}."
    return f"This is {request.get_state_display()} now; there is nothing left to decide."


def _locked_account(decider: User) -> User:
    """The account as it is now, not as it was when the session began; all of the person's locked.

    Their delegators' are locked with them, in one order: what several people approve on one
    person's authority is one day's sum.

    NO KEY: rows that merely point at an account (a colleague's notices) do not wait for it, so
    two people who notify each other cannot deadlock.
    """
    at = None if is_postgres() else db_clock.now()
    accounts = _THEIR_ACCOUNTS.all(decider=decider.pk, at=at)
    return {account.pk: account for account in accounts}[decider.pk]


def _their_accounts() -> QuerySet[User]:
    at = db_clock.now_in_query() if is_postgres() else Given("at")  # SQLite has no clock of its own
    lenders = Delegation.objects.in_force(at).filter(delegate=Given("decider"))
    people = User.objects.filter(Q(pk=Given("decider")) | Q(pk__in=lenders.values("lender")))
    accounts = User.objects.filter(person__in=people.values("person")).order_by("pk")
    return accounts.select_for_update(no_key=True)


_THEIR_ACCOUNTS = Prepared(_their_accounts)


def demand_running_agent(request: ActionRequest) -> None:
    """Nobody approves what is paused. The agent's row is held: its pause waits, or we see it.

    A pause of anything else that we cannot see yet ends later than the grant we issue begins, and
    such grants never run (`pauses.stopped_since`).
    """
    request.agent = agent_locked(request)
    stop = stop_of(request)
    if stop is not None:
        raise Paused(stop.for_people)


def demand_reason(reason_code: str, comment: str) -> None:
    if reason_code not in ReasonCode.values:
        raise ReasonRequired("Choose a reason from the list.")
    if reason_code == ReasonCode.OTHER and not comment.strip():
        raise ReasonRequired('"Other" needs a sentence that says what.')


def demand_facts(
    request: ActionRequest, policy: PolicyDecision, reviewed: ReviewedSnapshot
) -> None:
    """Whoever approves an action of the higher tiers has ticked every fact that made policy ask."""
    if not is_asked(request, "confirm_facts", policy=policy):
        return
    unticked = [fact for fact in facts_to_confirm(policy) if fact.key not in reviewed.confirmed]
    if unticked:
        what = " ".join(f"“{fact.words}”" for fact in unticked)
        raise FactsNotConfirmed(f"Tick what you have looked at before you approve: {what}")


def demand_proof(
    request: ActionRequest,
    person: User,
    proof: int | None,
    *,
    at: datetime,
    policy: PolicyDecision | None = None,
) -> Reauthentication | None:
    """The person's proof where policy asks for one, None where it does not.

    Raises StepUpRequired when there is none, when it is older than five minutes, or somebody
    else's.
    """
    if not is_asked(request, "step_up", policy=policy):
        return None
    return demand_fresh_proof(person, proof, at=at)


def demand_fresh_proof(person: User, proof: int | None, *, at: datetime) -> Reauthentication:
    """The same, whatever the tier."""
    found = current_proof(person, proof, at=at)
    if found is None:
        raise StepUpRequired("Confirm with your password that it is you who decides this.")
    return found
