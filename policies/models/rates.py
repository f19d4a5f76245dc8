"""Exchange rates by day, so that sums over currencies mean something."""

from __future__ import annotations

from django.conf import settings
from django.db import models


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
        return f"{self.currency} {self.day}: {self.rate.normalize():f}"
