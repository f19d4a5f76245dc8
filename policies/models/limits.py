"""How much a person or a role may approve."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models

from audit.history import kept_history
from audit.models import Chained


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
