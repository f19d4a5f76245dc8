"""What a person's authority is made of: limits, delegations, absences, proofs, waiting changes.

Exchange rates by day make sums over currencies comparable with limits.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models.expressions import Combinable
from django.utils.formats import date_format

from audit.lib.dates import format_moment
from audit.models import Chained, kept_history


class ApprovalLimit(Chained):
    """The largest amount its holder may approve, per kind of action and currency.

    A removed limit stays as a row that is no longer valid: decisions name the limit they rest on.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="approval_limits",
    )
    group = models.ForeignKey(
        Group, on_delete=models.PROTECT, null=True, blank=True, related_name="approval_limits"
    )
    action_type = models.CharField(
        max_length=60, help_text='An action type ("refund.issue"), a family ("refund.*") or "*".'
    )
    currency = models.CharField(max_length=3, help_text="ISO 4217 code.")
    each_minor = models.BigIntegerField(help_text="Largest single amount, in minor units.")
    per_day_minor = models.BigIntegerField(
        null=True, blank=True, help_text="Largest sum in 24 hours, in minor units; empty: no sum."
    )
    valid = models.BooleanField(default=True)
    history = kept_history(excluded_fields=["audit_seq", "audit_head"])

    class Meta:
        ordering = ["id"]
        verbose_name = "approval limit"
        constraints = [
            models.CheckConstraint(
                condition=(
                    models.Q(user__isnull=False, group=None)
                    | models.Q(user=None, group__isnull=False)
                ),
                name="policies_limit_one_holder",
            ),
            models.CheckConstraint(
                condition=models.Q(each_minor__gte=0), name="policies_limit_not_negative"
            ),
            models.CheckConstraint(
                condition=(
                    models.Q(per_day_minor=None)
                    | models.Q(per_day_minor__gte=models.F("each_minor"))
                ),
                name="policies_limit_day_covers_each",
            ),
            models.UniqueConstraint(
                fields=["user", "action_type", "currency"],
                condition=models.Q(valid=True, user__isnull=False),
                name="policies_limit_unique_for_user",
            ),
            models.UniqueConstraint(
                fields=["group", "action_type", "currency"],
                condition=models.Q(valid=True, group__isnull=False),
                name="policies_limit_unique_for_group",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.holder}: {self.action_type} {self.currency}"

    @property
    def holder(self) -> str:
        """The user name or the role the limit belongs to."""
        return self.user.get_username() if self.user else str(self.group)


class DelegationQuerySet(models.QuerySet["Delegation"]):
    """Delegations by the window they count in."""

    def in_force(self, at: datetime | Combinable) -> DelegationQuerySet:
        """Begun, not ended, not revoked."""
        return self.filter(revoked_at=None, starts_at__lte=at, ends_at__gt=at)


class Delegation(Chained):
    """Somebody lends their authority for a window. One hop: lent authority is not lent on.

    In force between `starts_at` and `ends_at` unless revoked. The row exists only once a second
    person has agreed.
    """

    lender = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="delegations_given"
    )
    delegate = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="delegations_held"
    )
    group = models.CharField(
        max_length=40, blank=True, help_text="The role lent; empty: every deciding role they have."
    )
    action_type = models.CharField(
        max_length=60, default="*", help_text='An action type, a family ("refund.*") or "*".'
    )
    cap_minor = models.BigIntegerField(
        null=True, blank=True, help_text="Largest single amount, minor units; empty: the lender's."
    )
    cap_currency = models.CharField(max_length=3, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=300)
    agreed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = DelegationQuerySet.as_manager()
    history = kept_history(excluded_fields=["audit_seq", "audit_head"])

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["delegate", "ends_at"], name="policies_delegation_held")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")),
                name="policies_delegation_window",
            ),
            models.CheckConstraint(
                condition=~models.Q(lender=models.F("delegate")),
                name="policies_delegation_two_people",
            ),
            models.CheckConstraint(
                condition=models.Q(cap_minor=None)
                | (models.Q(cap_minor__gte=0) & ~models.Q(cap_currency="")),
                name="policies_delegation_cap_is_money",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lender} to {self.delegate}"


class Absence(Chained):
    """Somebody is out of office: nothing is assigned to them. They may still decide."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="absences"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["ends_at", "user"], name="policies_absence_current")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")),
                name="policies_absence_window",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} until {format_moment(self.ends_at)}"


class ChangeStatus(models.TextChoices):
    """Where a change of authority is in its one-way life."""

    WAITING = "waiting", "waiting for a second person"
    AGREED = "agreed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"


class AuthorityChange(Chained):
    """Something that raises authority, proposed by one person and agreed to by another."""

    kind = models.CharField(max_length=30, help_text="Which service carries it out.")
    payload = models.TextField(help_text="Canonical JSON: the service's arguments.")
    summary = models.CharField(max_length=300, help_text="What it does, in one plain sentence.")
    reason = models.CharField(max_length=500)
    beneficiary = models.CharField(
        max_length=64, blank=True, help_text="The natural person whose authority it raises."
    )
    status = models.CharField(
        max_length=9, choices=ChangeStatus.choices, default=ChangeStatus.WAITING
    )
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="proposed_changes"
    )
    proposed_at = models.DateTimeField()
    lapses_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    decided_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "change of authority"
        verbose_name_plural = "changes of authority"
        indexes = [
            models.Index(
                fields=["lapses_at"],
                name="policies_change_waiting",
                condition=models.Q(status="waiting"),
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=ChangeStatus.values),
                name="policies_change_status_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="agreed")
                | (
                    models.Q(decided_by__isnull=False)
                    & ~models.Q(decided_by=models.F("proposed_by"))
                ),
                name="policies_change_four_eyes",
            ),
        ]

    def __str__(self) -> str:
        return self.summary


class Reauthentication(models.Model):
    """Somebody proved again who they are, with something stronger than a session. Never changes."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reauthentications"
    )
    method = models.CharField(max_length=20, help_text='How: "password".')
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.user} by {self.method}"


class ExchangeRate(models.Model):
    """What one unit of a currency is worth in the base currency from a day on.

    Rows never change: a correction is a newer row of the same day, and the newest one counts.
    """

    currency = models.CharField(max_length=3, help_text="ISO 4217 code.")
    day = models.DateField(help_text="First day it counts.")
    rate = models.DecimalField(
        max_digits=20, decimal_places=10, help_text="Units of the base currency for one unit."
    )
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-day", "-id"]
        indexes = [
            models.Index(fields=["currency", "-day", "-id"], name="policies_rate_latest"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(rate__gt=0), name="policies_rate_is_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.currency} {date_format(self.day)}: {self.rate.normalize():f}"
