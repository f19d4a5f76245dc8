"""The action request: one row, one state field, one graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django_fsm import ConcurrentTransitionMixin, FSMField
from django_fsm import transition as fsm_transition
from uuid6 import uuid7

from approvals.choices import DONE, ENDED, OPEN, State
from approvals.models.agents import Agent
from approvals.models.plan import Plan
from audit.lib.prepared import Given, Prepared
from audit.models import Chained, kept_history
from connectors.catalogue import Reversibility, Verb
from policies.verdicts import HIGHEST_TIER, Verdict

S = State


def transition(
    field: FSMField, *, source: State | list[State], target: State
) -> Callable[[Callable[[Any], None]], Any]:
    """django-fsm's transition that no template fires: `{{ request.approve }}` shows nothing."""

    def decorate(body: Callable[[Any], None]) -> Any:
        fire = fsm_transition(field, source=source, target=target)(body)
        fire.alters_data = True
        return fire

    return decorate


class ActionRequestManager(models.Manager["ActionRequest"]):
    """Adds the first line of every service."""

    def locked(self, request_id: UUID) -> ActionRequest:
        """The row under FOR UPDATE. Lock first, then look."""
        found = _LOCKED.first(pk=request_id)
        if found is None:
            raise ActionRequest.DoesNotExist(f"There is no request {request_id}.")
        return found

    def locked_together(self, request_ids: Sequence[UUID]) -> list[ActionRequest]:
        """Those of these rows that nobody else has locked, under FOR UPDATE, in order of their ids.

        Whoever is at one of the others right now has it: nobody waits for them.
        """
        free = self.select_for_update(of=("self",), skip_locked=True)
        return list(free.select_related("agent__owner").filter(pk__in=request_ids).order_by("id"))


class ActionRequest(Chained, ConcurrentTransitionMixin, models.Model):
    """The record a proposal opens. What is to be done is in `RequestContent`, by version."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    state = FSMField(default=State.REQUESTED, choices=State.choices, protected=True, max_length=24)
    version = models.PositiveSmallIntegerField(
        default=1, help_text="Content version; edits add one."
    )

    # Who asks, on whose behalf.
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="requests")
    on_behalf_of = models.CharField(max_length=150, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="opened_requests",
        help_text="The person who opened it, when a person did (an undo from the admin).",
    )
    session = models.CharField(max_length=100, blank=True)
    chain = models.CharField(  # the requests it is judged with: those of one session
        max_length=64, blank=True, default="", db_default="", help_text="Fixed by us."
    )
    plan = models.ForeignKey(
        Plan,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="steps",
        db_index=False,  # the constraint has one, of steps alone
    )
    step = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Its place in the plan, from 1."
    )
    idempotency_key = models.CharField(max_length=200)
    body_digest = models.CharField(max_length=64)

    # What: derived from params by the action type, never stated by the agent.
    action_type = models.CharField(max_length=60)
    action_type_version = models.PositiveSmallIntegerField()
    verb = models.CharField(max_length=8, choices=[(v.value, v.value) for v in Verb])
    system = models.CharField(max_length=40)
    reversibility = models.CharField(
        max_length=24, choices=[(r.value, r.value) for r in Reversibility]
    )
    target = models.CharField(max_length=200)
    counterparty = models.CharField(max_length=254, blank=True)
    amount_minor = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    amount_base = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="The amount in minor units of the base currency, at the rate of the day it was "
        "judged; empty without money or without a rate.",
    )
    effect = models.TextField(help_text="What will happen, in one sentence, from params only.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the current version's action.")
    business_key = models.CharField(max_length=64)

    # What policy said, last.
    risk_tier = models.PositiveSmallIntegerField(null=True, blank=True)
    verdict = models.CharField(
        max_length=16, blank=True, choices=[(v.value, v.value) for v in Verdict]
    )

    # Clocks. Only one runs at a time: deciding, answering, executing.
    decide_by = models.DateTimeField(null=True, blank=True)
    answer_by = models.DateTimeField(null=True, blank=True)
    execute_by = models.DateTimeField(null=True, blank=True)
    clock_started_at = models.DateTimeField(null=True, blank=True)
    clock_stopped_at = models.DateTimeField(null=True, blank=True)
    clock_round = models.PositiveSmallIntegerField(
        default=1, help_text="Counts how often people were given time to decide."
    )
    next_step_at = models.DateTimeField(
        null=True, blank=True, help_text="When time next announces, reminds or escalates."
    )
    intake_claimed_until = models.DateTimeField(
        null=True, blank=True, help_text="Somebody is carrying the intake on until then."
    )

    compensates = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="undo_requests"
    )
    supersedes = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )

    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects: ClassVar[ActionRequestManager] = ActionRequestManager()
    history: ClassVar[Any] = kept_history(
        excluded_fields=[
            *("audit_seq", "audit_head", "effect", "body_digest", "business_key", "next_step_at"),
            *("chain", "plan", "step"),
        ]
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        verbose_name = "request"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["agent", "idempotency_key"], name="approvals_request_key_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=State.values), name="approvals_request_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(amount_minor__isnull=True)
                | (models.Q(amount_minor__gte=0) & ~models.Q(currency="")),
                name="approvals_request_amount_is_money",
            ),
            models.UniqueConstraint(
                fields=["plan", "step"],
                name="approvals_request_step_unique",
                condition=models.Q(plan__isnull=False),
            ),
            models.CheckConstraint(
                condition=models.Q(plan=None, step=None) | models.Q(plan__isnull=False, step__gt=0),
                name="approvals_request_step_of_plan",
            ),
            models.CheckConstraint(
                condition=models.Q(risk_tier__isnull=True) | models.Q(risk_tier__lte=5),
                name="approvals_request_tier_known",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            # Whose clock runs out, and who has to be looked at, by the clock that counts.
            *(
                models.Index(
                    fields=[column, "id"],
                    name=f"approvals_request_{name}",
                    condition=models.Q(state=state),
                )
                for column, name, state in (
                    ("decide_by", "deciding", "pending_approval"),
                    ("next_step_at", "next_step", "pending_approval"),
                    ("answer_by", "answering", "changes_requested"),
                    ("execute_by", "executable", "approved"),
                )
            ),
            models.Index(
                fields=["state", "id"],
                name="approvals_request_open",
                condition=models.Q(state__in=sorted(OPEN)),
            ),
            models.Index(
                fields=["counterparty", "action_type"],
                name="approvals_request_done_for",
                condition=models.Q(state__in=sorted(DONE)),
            ),
            models.Index(fields=["agent", "id"], name="approvals_request_agent"),
            models.Index(fields=["agent", "updated_at", "id"], name="approvals_request_changes"),
            models.Index(fields=["business_key", "id"], name="approvals_request_business"),
            models.Index(fields=["action_type", "target", "id"], name="approvals_request_target"),
            *(
                models.Index(
                    fields=[column, "id"], name=f"approvals_request_{name}", condition=named
                )
                for column, name, named in (
                    ("chain", "chain", ~models.Q(chain="")),
                    ("agent", "in_session", ~models.Q(session="")),
                )
            ),
            # What people filter open requests by, each in the order of the inbox.
            *(
                models.Index(
                    fields=[column, "decide_by", "id"],
                    name=f"approvals_request_{name}_due",
                    condition=models.Q(state="pending_approval"),
                )
                for column, name in (
                    ("risk_tier", "tier"),
                    ("agent", "agent"),
                    ("action_type", "type"),
                )
            ),
            # What people filter records by, in their order.
            models.Index(fields=["risk_tier", "id"], name="approvals_request_tier"),
            models.Index(
                fields=["state", "id"],
                name="approvals_request_ended",
                condition=models.Q(state__in=sorted(ENDED)),
            ),
            models.Index(
                fields=["verdict", "id"],
                name="approvals_request_no_people",
                condition=~models.Q(verdict=Verdict.REQUIRE_APPROVAL.value),
            ),
            # What people search for: a beginning, or an amount.
            *(
                models.Index(
                    fields=[column],
                    name=f"approvals_request_by_{name}",
                    opclasses=["varchar_pattern_ops"],
                )
                for column, name in (("target", "target"), ("counterparty", "customer"))
            ),
            models.Index(
                fields=["amount_minor", "id"],
                name="approvals_request_by_amount",
                condition=models.Q(amount_minor__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action_type} · {self.target}"

    @property
    def is_open(self) -> bool:
        return State(self.state) in OPEN

    @property
    def effective_tier(self) -> int:
        """The risk tier; what has not been classified counts as the highest."""
        return HIGHEST_TIER if self.risk_tier is None else self.risk_tier

    # The lifecycle. Bodies are empty: services do the work and fire these, nobody else.

    @transition(state, source=S.REQUESTED, target=S.CLASSIFIED)
    def classify(self) -> None:
        """Its kind, target and reversibility are fixed, so that rules can speak of them."""

    @transition(state, source=S.CLASSIFIED, target=S.EVIDENCE_COLLECTED)
    def collect(self) -> None:
        """The system has read the target, so that nobody decides on the agent's word alone."""

    @transition(state, source=S.EVIDENCE_COLLECTED, target=S.POLICY_CHECKED)
    def check_policy(self) -> None:
        """Policy has spoken on the facts; the verdict is kept with its trace."""

    @transition(state, source=S.POLICY_CHECKED, target=S.PENDING_APPROVAL)
    def route(self) -> None:
        """Policy requires people; the inboxes of those with authority have it now."""

    @transition(state, source=S.POLICY_CHECKED, target=S.APPROVED)
    def allow(self) -> None:
        """Policy allows it without a person; a grant exists."""

    @transition(state, source=[S.POLICY_CHECKED, S.PENDING_APPROVAL, S.APPROVED], target=S.DENIED)
    def deny(self) -> None:
        """Policy denies it: at intake, after an edit, or because it changed before execution."""

    @transition(state, source=S.PENDING_APPROVAL, target=S.APPROVED)
    def approve(self) -> None:
        """Every requirement is met; a grant exists."""

    @transition(state, source=S.PENDING_APPROVAL, target=S.REJECTED)
    def reject(self) -> None:
        """Somebody with authority said no; one no is enough."""

    @transition(state, source=S.PENDING_APPROVAL, target=S.CHANGES_REQUESTED)
    def ask(self) -> None:
        """A reviewer needs an answer; the reviewers' clock stops and the agent's starts."""

    @transition(state, source=S.CHANGES_REQUESTED, target=S.PENDING_APPROVAL)
    def answer(self) -> None:
        """The agent answered; the reviewers' clock goes on where it stopped."""

    @transition(
        state, source=[S.PENDING_APPROVAL, S.CHANGES_REQUESTED, S.APPROVED], target=S.WITHDRAWN
    )
    def withdraw(self) -> None:
        """The proposer no longer wants it. Nobody said no."""

    @transition(
        state, source=[S.PENDING_APPROVAL, S.CHANGES_REQUESTED, S.APPROVED], target=S.EXPIRED
    )
    def expire(self) -> None:
        """Time ran out. Nobody said no, and silence never approves."""

    @transition(state, source=S.APPROVED, target=S.PENDING_APPROVAL)
    def invalidate(self) -> None:
        """What was approved is no longer what would happen: people look again."""

    @transition(state, source=S.APPROVED, target=S.EXECUTING)
    def begin(self) -> None:
        """A worker consumed the grant; from here the outside world may change."""

    @transition(state, source=S.EXECUTING, target=S.EXECUTED)
    def finish(self) -> None:
        """The connector returned a receipt."""

    @transition(state, source=S.EXECUTING, target=S.FAILED)
    def fail(self) -> None:
        """The target definitely refused, or a pause did; nothing happened there."""

    @transition(state, source=S.EXECUTING, target=S.OUTCOME_UNKNOWN)
    def lose_track(self) -> None:
        """A call went out and no trustworthy answer came back."""

    @transition(state, source=[S.EXECUTED, S.OUTCOME_UNKNOWN], target=S.VERIFIED)
    def verify(self) -> None:
        """An independent read found exactly what was approved."""

    @transition(state, source=[S.EXECUTED, S.OUTCOME_UNKNOWN], target=S.VERIFICATION_FAILED)
    def refute(self) -> None:
        """The effect is missing or different: an incident for people."""

    @transition(state, source=S.VERIFIED, target=S.AUDITED)
    def audit(self) -> None:
        """The record is closed; for tiers 4 and 5 an accountable person signed off."""

    @transition(state, source=[S.OUTCOME_UNKNOWN, S.VERIFICATION_FAILED], target=S.RESOLVED)
    def resolve(self) -> None:
        """A person found out what happened and wrote it down."""

    @transition(state, source=[S.VERIFIED, S.VERIFICATION_FAILED, S.AUDITED], target=S.COMPENSATED)
    def compensate(self) -> None:
        """A linked, separately approved action undid it."""


_LOCKED = Prepared(
    lambda: (
        ActionRequest.objects.select_for_update(of=("self",))
        .select_related("agent__owner")
        .filter(pk=Given("pk"))
    )
)
