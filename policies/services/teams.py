"""Teams a company makes: created by one ops admin, given authority by two.

A team is nobody until it has members, and membership is a role like any other: giving it waits for
a second ops admin (`policies.services.people`). So does another team above it, whose members may
then answer what this one leaves undecided.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from django.contrib.auth.models import Group
from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import record, save_with_history, stream
from policies.exceptions import PolicyError
from policies.hours import HoursError, parse_hours
from policies.models import AuthorityChange, Team
from policies.roles import ROLES, role_of
from policies.services import people
from policies.services.dual_control import (
    carries_out,
    check_may_configure,
    propose_change,
    require_reason,
)
from policies.services.roles import group_of
from policies.team_names import is_team_name
from policies.teams import answers_to, forget_names, team_codes

ABOVE = "team.above"


@transaction.atomic
def create_team(
    *,
    actor: Actor,
    code: str,
    name: str,
    escalates_to: str,
    hours: str = "",
    members: Iterable[int] = (),
) -> Team:
    """Make a team; its members (ids of accounts) wait for a second person, each as a change.

    Parts of the system give it its members at once. Raises PolicyError: not_ops_admin, bad_code,
    code_taken, name_missing, unknown_team, bad_hours, and what `people.change_roles` raises.
    """
    stream("teams")
    check_may_configure(actor)
    if not is_team_name(code):
        raise PolicyError(
            "bad_code",
            f"'{code}' cannot be a team's code. Use 2 to 30 small letters, digits and hyphens, "
            "a letter first, such as dispatch.",
        )
    if code in {role.name for role in ROLES} or Group.objects.filter(name=code).exists():
        raise PolicyError("code_taken", f"There is already a team or role '{code}'.")
    _check(name, escalates_to, hours)
    team = Team(
        code=code,
        name=name.strip(),
        group=group_of(role_of(code)),
        escalates_to=escalates_to,
        hours=hours.strip(),
        created_at=db_clock.now(),
    )
    save_with_history(team, actor=actor, reason="created")
    record(
        AuditCode.TEAM_CREATED,
        actor=actor,
        subject=team,
        data={
            "code": code, "name": team.name, "escalates_to": escalates_to, "hours": team.hours,
        },
    )  # fmt: skip
    forget_names()
    for user_id in members:
        people.join(user_id, code, actor=actor, reason=f"a member of the new team {code}")
    return team


@transaction.atomic
def change_team(
    team_id: int, *, actor: Actor, name: str, escalates_to: str, hours: str, reason: str
) -> Team | AuthorityChange:
    """Change what a team is called, when it is there, and which team is above it.

    Another team above waits for a second person, and that change is returned. The same values
    again change and record nothing. Raises PolicyError: not_ops_admin, unknown_team, name_missing,
    bad_hours, circle, reason_missing, already_waiting.
    """
    team = _locked(team_id)
    check_may_configure(actor)
    require_reason(reason)
    _check(name, escalates_to, hours, team.code)
    at_once = {"name": name.strip(), "hours": hours.strip()}
    if actor.kind == ActorKind.SYSTEM:
        at_once["escalates_to"] = escalates_to
    _change(team, at_once, actor=actor, reason=reason)
    if escalates_to == team.escalates_to:
        return team
    return propose_change(
        ABOVE,
        {"team": team.pk, "before": team.escalates_to, "to": escalates_to, "reason": reason},
        actor=actor,
        summary=f"Let {escalates_to} answer what the team {team.code} leaves undecided; "
        f"{team.escalates_to} does now.",
        reason=reason,
    )


@carries_out(ABOVE)
def _change_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    team = _locked(cast(int, payload["team"]))
    if team.escalates_to != payload["before"]:
        raise PolicyError("team_moved", "The team has changed since. Propose it again.")
    above = str(payload["to"])
    _check(team.name, above, team.hours, team.code)
    reason = str(payload["reason"])
    _change(team, {"escalates_to": above}, actor=actor, reason=reason, proposer=proposer)


def _change(
    team: Team,
    wanted: dict[str, str],
    *,
    actor: Actor,
    reason: str,
    proposer: Actor | None = None,
) -> None:
    changed = [name for name, value in wanted.items() if getattr(team, name) != value]
    if not changed:
        return
    for name in changed:
        setattr(team, name, wanted[name])
    save_with_history(team, actor=actor, reason=reason)
    record(
        AuditCode.TEAM_CHANGED,
        actor=actor,
        subject=team,
        data={
            "code": team.code,
            "fields": list(changed),
            "to": {name: wanted[name] for name in changed},
            "reason": reason,
            "proposed_by": proposer.name if proposer else "",
        },
    )
    forget_names()


def _locked(team_id: int) -> Team:
    stream("teams")  # one at a time: two changes must not make a circle together
    try:
        return Team.objects.select_for_update().get(pk=team_id)
    except Team.DoesNotExist as error:
        raise PolicyError("unknown_team", "There is no such team.") from error


def _check(name: str, escalates_to: str, hours: str, code: str = "") -> None:
    if not name.strip():
        raise PolicyError("name_missing", "Say what people call the team.")
    if escalates_to not in team_codes():
        raise PolicyError("unknown_team", f"There is no team '{escalates_to}' to escalate to.")
    above, ladder = escalates_to, answers_to()
    while above:
        if above == code:
            raise PolicyError("circle", f"{escalates_to} escalates to {code} itself.")
        above = ladder.get(above, "")
    try:
        parse_hours(hours)
    except HoursError as error:
        raise PolicyError("bad_hours", str(error)) from error
