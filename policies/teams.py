"""The teams there are now: the built-in ones of `policies.roles`, and those a company made."""

from __future__ import annotations

from dataclasses import replace

from django.core.cache import cache

from audit.lib.one_look import once_a_page
from policies.models import Team, User
from policies.roles import ANSWERS_TO, DECIDING_ROLES, MANAGER, ROLES, Role, role_of
from policies.team_names import asked_personally, may_be_asked_personally, person_in

_NAMES = "team-names"
_KEPT_SECONDS = 10


@once_a_page
def made_teams() -> dict[str, Team]:
    """Those a company made, by code."""
    return {team.code: team for team in Team.objects.order_by("code")}


def team_codes() -> tuple[str, ...]:
    """Every team that may decide, the built-in ones first."""
    return (*DECIDING_ROLES, *made_teams())


def roles() -> tuple[Role, ...]:
    """Every role somebody can be given, the teams of this company among them."""
    made = (replace(role_of(code), description=team.name) for code, team in made_teams().items())
    return (*ROLES, *made)


def team_choices() -> list[tuple[str, str]]:
    """Code and name of every team, for forms and filters; some seconds old."""
    built_in = [(role, role.capitalize()) for role in DECIDING_ROLES]
    return built_in + list(_names_of_made_teams().items())


def name_of_team(code: str) -> str:
    """What people call the team; some seconds old."""
    return _names_of_made_teams().get(code) or code.capitalize()


def forget_names() -> None:
    """Read them anew: one has changed."""
    cache.delete(_NAMES)


def _names_of_made_teams() -> dict[str, str]:
    names: dict[str, str] | None = cache.get(_NAMES)
    if names is None:
        names = dict(Team.objects.order_by("code").values_list("code", "name"))
        cache.set(_NAMES, names, _KEPT_SECONDS)
    return names


def ladder(group: str) -> list[str]:
    """The teams and people above a team or a person, from the next one up."""
    result: list[str] = []
    above = answers_to()
    while group := _manager_of(group) if person_in(group) else above.get(group, ""):
        if group in result:
            break
        result.append(group)
    return result


def _manager_of(group: str) -> str:
    """The line manager of somebody who is asked by name; managers above who has none."""
    reports = User.objects.filter(person=person_in(group), line_manager__isnull=False)
    persons = set(reports.values_list("line_manager__person", flat=True))
    named = {asked_personally(person) for person in persons if may_be_asked_personally(person)}
    return named.pop() if len(named) == 1 else MANAGER


def answers_to() -> dict[str, str]:
    """Team -> the team above it; the top of the ladder answers to nobody."""
    return ANSWERS_TO | {code: team.escalates_to for code, team in made_teams().items()}
