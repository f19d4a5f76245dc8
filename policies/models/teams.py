"""Teams a company made beside the built-in ones, and who answers for what their decisions touch."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models

from audit.models import Chained, kept_history
from policies.team_names import OwnerKind


class Team(Chained):
    """People who decide together. Its members are those of its group, which has the same name.

    The built-in teams are code (`policies.roles`) and have no row here.
    """

    code = models.CharField(
        max_length=30, unique=True, help_text='What policy calls it, such as "dispatch".'
    )
    name = models.CharField(max_length=60, help_text="What people call it.")
    group = models.OneToOneField(
        Group, on_delete=models.PROTECT, related_name="team", editable=False
    )
    escalates_to = models.CharField(
        max_length=40, help_text="The team above: it has what this one leaves undecided."
    )
    hours = models.CharField(
        max_length=40,
        blank=True,
        help_text='When somebody is there, such as "Mon-Fri 08:00-18:00". Empty: always.',
    )
    created_at = models.DateTimeField()

    history = kept_history(excluded_fields=["audit_seq", "audit_head"])

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class Ownership(Chained):
    """Who answers for targets of a system: a team or a person, from one agreed day to another.

    Rows stay. Another owner is another row, and the earlier one has ended.
    """

    system = models.CharField(max_length=40, help_text='A system, or "*" for all of them.')
    pattern = models.CharField(
        max_length=200, help_text='A target, or how targets begin: "order 4711", "order *", "*".'
    )
    kind = models.CharField(max_length=9, choices=OwnerKind.choices)
    team = models.CharField(max_length=40, blank=True, help_text="The team's code.")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="ownerships",
    )
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["system", "kind", "pattern", "-id"]
        verbose_name = "owner"
        verbose_name_plural = "owners"
        constraints = [
            models.UniqueConstraint(
                fields=["system", "kind", "pattern"],
                condition=models.Q(ended_at=None),
                name="policies_ownership_one_owner",
            ),
            models.CheckConstraint(
                condition=(models.Q(team="", person__isnull=False))
                | (~models.Q(team="") & models.Q(person=None)),
                name="policies_ownership_team_or_person",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=OwnerKind.values), name="policies_ownership_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.system} {self.pattern}: {self.owner}"

    @property
    def owner(self) -> str:
        """The team's code, or the user name."""
        return self.person.get_username() if self.person else self.team
