"""What a version would have said: replays over past requests, and its shadow beside the policy."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from policies.models.versions import PolicyVersion
from policies.verdicts import Verdict

_VERDICTS = [(verdict.value, verdict.value.replace("_", " ")) for verdict in Verdict]


class Direction(models.TextChoices):
    """How another policy's answer differs from the one a request got."""

    SAME = "same", "the same"
    LOOSER = "looser", "fewer people asked"
    STRICTER = "stricter", "more people asked"
    REROUTED = "rerouted", "other people asked"


class BacktestStatus(models.TextChoices):
    """How far a replay has come."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Backtest(models.Model):
    """One replay of past requests against a version; the row is the work order and its result."""

    version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="backtests")
    digest = models.CharField(max_length=64, help_text="Of the document that was replayed.")
    against = models.ForeignKey(
        PolicyVersion,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="The version in force when it was asked for.",
    )
    beside = models.ForeignKey(
        PolicyVersion,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="What it was evaluated together with: the floor then, or for a floor the policy.",
    )
    status = models.CharField(
        max_length=7, choices=BacktestStatus.choices, default=BacktestStatus.WAITING
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    total = models.PositiveIntegerField(default=0, help_text="Past requests to replay.")
    done = models.PositiveIntegerField(default=0, help_text="Of those, replayed so far.")
    summary = models.TextField(blank=True, help_text="Canonical JSON: counts and sums of flips.")
    problem = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    beat_at = models.DateTimeField(null=True, help_text="Last sign of life of whoever runs it.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "replay"
        indexes = [
            models.Index(
                fields=["created_at"],
                name="policies_backtest_unfinished",
                condition=models.Q(status__in=["running", "waiting"]),
            )
        ]

    def __str__(self) -> str:
        return f"replay {self.pk} of {self.version}"


class BacktestFlip(models.Model):
    """One past request the replayed version would have answered differently."""

    backtest = models.ForeignKey(Backtest, on_delete=models.CASCADE, related_name="flips")
    subject_id = models.CharField(max_length=40, help_text="The request.")
    action_type = models.CharField(max_length=60)
    agent = models.CharField(max_length=60)
    amount_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)
    amount_base = models.BigIntegerField(null=True, help_text="Minor units of the base currency.")
    direction = models.CharField(max_length=8, choices=Direction.choices)
    before_verdict = models.CharField(max_length=16, choices=_VERDICTS)
    before_tier = models.PositiveSmallIntegerField()
    after_verdict = models.CharField(max_length=16, choices=_VERDICTS)
    after_tier = models.PositiveSmallIntegerField()
    before_asked = models.CharField(max_length=200, blank=True, help_text="Groups, by comma.")
    after_asked = models.CharField(max_length=200, blank=True, help_text="Groups, by comma.")
    at = models.DateTimeField(help_text="When the request was judged.")

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["backtest", "direction", "id"], name="policies_flip_by_direction")
        ]

    def __str__(self) -> str:
        return f"{self.subject_id}: {self.before_verdict} to {self.after_verdict}"


class ShadowVerdict(models.Model):
    """What a shadowing draft said beside the version in force, for one request. Never changes."""

    version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="shadows")
    digest = models.CharField(max_length=64, help_text="Of the draft's document then.")
    subject_id = models.CharField(max_length=40, help_text="The request.")
    action_type = models.CharField(max_length=60)
    amount_base = models.BigIntegerField(null=True, help_text="Minor units of the base currency.")
    direction = models.CharField(max_length=8, choices=Direction.choices)
    active_verdict = models.CharField(max_length=16, choices=_VERDICTS)
    active_tier = models.PositiveSmallIntegerField()
    shadow_verdict = models.CharField(max_length=16, choices=_VERDICTS)
    shadow_tier = models.PositiveSmallIntegerField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["version", "at"], name="policies_shadow_over_time")]

    def __str__(self) -> str:
        return f"{self.subject_id}: {self.direction}"
