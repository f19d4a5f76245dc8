"""What must be decided, who decided what, and what an approval unlocks."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import ClassVar

from django.conf import settings
from django.db import models

from approvals.choices import FINAL_VERDICTS, DecisionVerdict, ReasonCode
from approvals.models.request import ActionRequest
from audit.actors import ActorKind
from audit.lib.dates import format_moment
from policies.evidence import EvidenceDemand
from policies.models import Delegation, PolicyVersion, Reauthentication
from policies.team_names import person_in, spoken
from policies.verdicts import RequirementSpec, Verdict


def listed(column: str) -> tuple[str, ...]:
    """The groups of a column such as "|legal|manager|"."""
    return tuple(filter(None, column.split("|")))


def column_of(groups: Collection[str]) -> str:
    """Groups as a column that can be asked with `contains="|legal|"`; the reverse of `listed`."""
    return "".join(f"|{group}" for group in groups) + "|" if groups else ""


class PolicyDecision(models.Model):
    """One evaluation: which version, on which facts, with which trace. Rows never change."""

    class Purpose(models.TextChoices):
        INTAKE = "intake"
        EDIT = "edit"
        EXECUTION = "execution"
        EVIDENCE = "evidence"

    request = models.ForeignKey(
        ActionRequest, on_delete=models.PROTECT, related_name="policy_decisions"
    )
    version = models.PositiveSmallIntegerField()
    purpose = models.CharField(max_length=9, choices=Purpose.choices)
    policy_version = models.ForeignKey(
        PolicyVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    floor = models.ForeignKey(
        PolicyVersion,
        to_field="label",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The floor it was evaluated with.",
    )
    verdict = models.CharField(max_length=16, choices=[(v.value, v.value) for v in Verdict])
    tier = models.PositiveSmallIntegerField()
    reason_required = models.BooleanField()
    window = models.CharField(max_length=40, blank=True)
    evidence_required = models.JSONField(default=list)
    decide_within = models.DurationField()
    execute_within = models.DurationField()
    facts = models.TextField(help_text="Canonical JSON.")
    trace = models.TextField(help_text="Canonical JSON.")
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["request", "-id"], name="approvals_policy_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} at tier {self.tier}"

    @property
    def evidence_demanded(self) -> tuple[EvidenceDemand, ...]:
        """What evidence must be there before anybody approves."""
        return tuple(map(EvidenceDemand.from_stored, self.evidence_required))

    def asks(self, safeguard: str) -> bool:
        """Whether the matrix asked for that safeguard then; its names are `matrix.SWITCHES`."""
        if safeguard == "reason_required":
            return self.reason_required
        return bool(json.loads(self.trace).get(safeguard))


class Requirement(models.Model):
    """One thing people must still say yes to, for one version of one request."""

    request = models.ForeignKey(
        ActionRequest, on_delete=models.PROTECT, related_name="requirements"
    )
    version = models.PositiveSmallIntegerField()
    group = models.CharField(max_length=40)
    quorum = models.PositiveSmallIntegerField(default=1)
    stage = models.PositiveSmallIntegerField(default=1)
    within_limit = models.BooleanField(default=False)
    escalates_to = models.CharField(max_length=40)
    escalated_to = models.CharField(
        max_length=40, blank=True, help_text="Who may answer it too, since it was escalated."
    )
    looked_up = models.CharField(
        max_length=400,
        blank=True,
        help_text='What policy calls whom it asks, and who that was: "|owner:data=dispatch|".',
    )
    alarm = models.CharField(
        max_length=300, blank=True, help_text="Why too few people may decide it."
    )
    is_open = models.BooleanField(default=True)
    alternatives = models.CharField(
        max_length=400, blank=True, help_text='Groups that may answer as well: "|legal|manager|".'
    )
    excludes = models.CharField(
        max_length=400, blank=True, help_text='Groups whose members never count: "|support|".'
    )
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="assigned_requirements",
        help_text="Whom it is suggested to, or who claimed it. Others may decide all the same.",
    )
    claimed_until = models.DateTimeField(
        null=True, blank=True, help_text="The assignee works on it until then; a claim lapses."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["stage", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["request", "version", "stage", "group"],
                name="approvals_requirement_unique",
            ),
            models.CheckConstraint(
                condition=models.Q(quorum__gte=1), name="approvals_requirement_quorum"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["group", "is_open", "request"], name="approvals_requirement_asked"
            ),
            models.Index(
                fields=["request"],
                name="approvals_requirement_altern",
                condition=~models.Q(alternatives=""),
            ),
            models.Index(
                fields=["group", "request"],
                name="approvals_requirement_left",
                condition=models.Q(is_open=True) & ~models.Q(escalated_to=""),
            ),
            models.Index(
                fields=["claimed_until"],
                name="approvals_requirement_claimed",
                condition=models.Q(is_open=True, claimed_until__isnull=False),
            ),
            models.Index(
                fields=["escalated_to", "is_open", "request"],
                name="approvals_requirement_raised",
                condition=~models.Q(escalated_to=""),
            ),
            models.Index(
                fields=["assignee", "request"],
                name="approvals_requirement_mine",
                condition=models.Q(is_open=True, assignee__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quorum} of {self.group}"

    @property
    def found(self) -> dict[str, str]:
        """What policy calls those who were looked up -> the team or person that was."""
        return dict(pair.split("=", 1) for pair in listed(self.looked_up))

    @property
    def asked_as(self) -> str:
        """What policy calls whom it asks first: "owner:data"; the team where it names that."""
        return next((name for name, who in self.found.items() if who == self.group), self.group)

    @property
    def shown_to_agents(self) -> str:
        """The team; of somebody who is asked by name, what policy calls them."""
        return self.asked_as if person_in(self.group) else self.group

    @property
    def who(self) -> str:
        """ "dispatch", "ana, data owner"."""
        name, called = spoken(self.group), self.asked_as
        return name if called == self.group else f"{name}, {spoken(called)}"

    @property
    def escalated_name(self) -> str:
        return spoken(self.escalated_to)

    @property
    def alternative_names(self) -> tuple[str, ...]:
        return tuple(map(spoken, listed(self.alternatives)))

    @property
    def spec(self) -> RequirementSpec:
        return RequirementSpec(
            group=self.group,
            quorum=self.quorum,
            stage=self.stage,
            within_limit=self.within_limit,
            escalates_to=self.escalates_to,
            alternatives=listed(self.alternatives),
            excludes=listed(self.excludes),
        )


class ShownContent(models.Model):
    """What a page showed, by digest: what each reviewer saw can be proved later."""

    digest = models.CharField(max_length=64, primary_key=True)
    body = models.TextField(help_text="Canonical JSON.")
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.digest[:12]


class Decision(models.Model):
    """One person's verdict on exactly what they were shown. Rows never change."""

    request = models.ForeignKey(ActionRequest, on_delete=models.PROTECT, related_name="decisions")
    version = models.PositiveSmallIntegerField()
    requirement = models.ForeignKey(
        Requirement, on_delete=models.PROTECT, null=True, blank=True, related_name="decisions"
    )
    decider = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="decisions"
    )
    person = models.CharField(max_length=64, help_text="The natural person behind the account.")
    group = models.CharField(max_length=40, help_text="The role in which they decided.")
    verdict = models.CharField(max_length=20, choices=DecisionVerdict.choices)
    reason_code = models.CharField(max_length=20, choices=ReasonCode.choices, blank=True)
    comment = models.TextField(blank=True)
    edits = models.TextField(blank=True, help_text="Canonical JSON: field to [before, after].")
    confirmed = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="Canonical JSON: names of the rules whose facts they ticked as looked at.",
    )
    visible_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="How long the page was visible on their screen, says their browser; "
        "never longer than it was open. Empty: not measured.",
    )
    evidence_opened = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="Canonical JSON: digests of the evidence they had on the screen.",
    )
    on_behalf_of = models.CharField(
        max_length=64, blank=True, help_text="The person who lent the authority; empty: own."
    )
    delegation = models.ForeignKey(
        Delegation, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    authentication = models.ForeignKey(
        Reauthentication,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="How the decider proved again who they are, where the tier demands it.",
    )
    limit_minor = models.BigIntegerField(
        null=True, blank=True, help_text="The approval limit relied on, minor units."
    )
    amount_minor = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    digest = models.CharField(max_length=64, help_text="Digest of the action decided on.")
    shown = models.ForeignKey(ShownContent, on_delete=models.PROTECT, related_name="decisions")
    nonce = models.CharField(max_length=32, unique=True)
    opened_at = models.DateTimeField(help_text="When the page decided on was rendered.")
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["request", "version", "person"],
                name="approvals_decision_once_per_person",
                condition=models.Q(verdict__in=sorted(FINAL_VERDICTS)),
            ),
            models.UniqueConstraint(
                fields=["request", "version", "on_behalf_of"],
                name="approvals_decision_once_per_lender",
                condition=models.Q(verdict__in=sorted(FINAL_VERDICTS)) & ~models.Q(on_behalf_of=""),
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["person", "created_at"], name="approvals_decision_per_day"),
            models.Index(fields=["group", "created_at"], name="approvals_decision_lately"),
            models.Index(
                fields=["on_behalf_of", "created_at"],
                name="approvals_decision_lent_daily",
                condition=~models.Q(on_behalf_of=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.verdict}"


class ThreadEntry(models.Model):
    """One question, answer or note about a request. Rows never change."""

    request = models.ForeignKey(ActionRequest, on_delete=models.PROTECT, related_name="thread")
    actor_kind = models.CharField(max_length=6, choices=ActorKind.choices)
    actor_name = models.CharField(max_length=150)
    body = models.TextField()
    for_people = models.BooleanField(
        default=False,
        db_default=False,
        help_text="From a person to the people on the case; its agent is not told.",
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        verbose_name_plural = "thread entries"

    def __str__(self) -> str:
        return f"{self.actor_name} on {format_moment(self.created_at)}"


class Grant(models.Model):
    """What an approval unlocks: one action, one digest, a ceiling, a window, one use."""

    request = models.ForeignKey(ActionRequest, on_delete=models.PROTECT, related_name="grants")
    version = models.PositiveSmallIntegerField()
    action_type = models.CharField(max_length=60)
    target = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    target_version = models.CharField(max_length=64, blank=True)
    guard = models.CharField(
        max_length=300, blank=True, help_text="The target's own mark of that version."
    )
    connection = models.CharField(
        max_length=60, blank=True, help_text="Which one it may go through, as it was then."
    )
    ceiling_minor = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    approvers = models.JSONField(default=list, help_text="Persons; empty when policy allowed it.")
    window = models.CharField(max_length=40, blank=True)
    expires_at = models.DateTimeField()
    is_break_glass = models.BooleanField(
        default=False, help_text="One person approved alone in an emergency."
    )
    usable_from = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Until then whoever approved may recall it, and nobody carries it out.",
    )
    needs_start = models.BooleanField(default=False, help_text="A person starts it and watches.")
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    consumed_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["request"],
                name="approvals_grant_one_usable",
                condition=models.Q(consumed_at__isnull=True, revoked_at__isnull=True),
            ),
            models.CheckConstraint(
                condition=models.Q(consumed_at__isnull=True) | models.Q(revoked_at__isnull=True),
                name="approvals_grant_used_or_revoked",
            ),
        ]

    def __str__(self) -> str:
        return f"grant for {self.action_type} on {self.target}"
