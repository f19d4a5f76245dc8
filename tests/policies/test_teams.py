"""Teams, owners and line managers as data: what is refused, and what takes two people."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group

from audit.actors import Actor
from policies.hours import HoursError, parse_hours
from policies.models import AuthorityChange, Ownership, Team, User
from policies.owners import owners_of
from policies.services import dual_control
from policies.services.ownership import (
    ManagerRow,
    OwnerRow,
    read_line_managers,
    read_owners,
    set_line_managers,
    set_owners,
)
from policies.services.roles import sync_roles
from policies.services.teams import change_team, create_team
from policies.team_names import asked_personally
from policies.teams import ladder
from tests.policies.make import SYSTEM, codes, make_user, refused

pytestmark = pytest.mark.django_db


def make_team(code: str = "dispatch", escalates_to: str = "operations", **more: str) -> Team:
    sync_roles(actor=SYSTEM)
    return create_team(actor=SYSTEM, code=code, name="Dispatch", escalates_to=escalates_to, **more)


def admins() -> tuple[Actor, Actor]:
    return (
        Actor.human(make_user("petra", "ops admin")),
        Actor.human(make_user("paul", "ops admin")),
    )


def test_a_team_is_on_record_with_what_every_team_sees() -> None:
    team = make_team(hours="Mon-Fri 08:00-18:00")

    assert codes(team) == ["team.created"]
    assert ladder("dispatch") == ["operations", "manager", "executive"]
    finance = Group.objects.get(name="finance").permissions
    assert set(team.group.permissions.all()) == set(finance.all())
    assert sync_roles(actor=SYSTEM) == ()


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("Dispatch", "bad_code"), ("d", "bad_code"), ("d|e", "bad_code"), ("a" * 31, "bad_code"),
        ("owner:data", "bad_code"), ("break-glass", "bad_code"), ("auditor", "bad_code"),
        ("finance", "code_taken"), ("dispatch", "code_taken"),
    ],
)  # fmt: skip
def test_a_code_that_is_no_name_or_somebody_else_s_is_refused(code: str, what: str) -> None:
    make_team()

    with refused(what):
        make_team(code)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"escalates_to": "nobody"}, "unknown_team"),
        ({"hours": "9 to 5"}, "bad_hours"),
        ({"name": " "}, "name_missing"),
    ],
)
def test_what_makes_no_sense_of_a_team_is_refused(wrong: dict[str, str], what: str) -> None:
    values = {"code": "dispatch", "name": "Dispatch", "escalates_to": "operations", **wrong}

    with refused(what):
        create_team(actor=SYSTEM, **values)  # type: ignore[arg-type]


def test_only_an_ops_admin_makes_teams() -> None:
    villain = Actor.human(make_user("vera", "manager"))

    with refused("not_ops_admin"):
        create_team(actor=villain, code="mine", name="Mine", escalates_to="manager")


def test_another_team_above_takes_two_people_and_never_a_circle() -> None:
    petra, paul = admins()
    team = make_team()
    make_team("yard", escalates_to="dispatch")

    with refused("circle"):
        change_team(
            team.pk, actor=petra, name="Dispatch", escalates_to="yard", hours="", reason="x"
        )
    change = change_team(
        team.pk, actor=petra, name="Despatch", escalates_to="manager", hours="", reason="x"
    )

    team.refresh_from_db()
    assert (team.name, team.escalates_to) == ("Despatch", "operations")
    assert isinstance(change, AuthorityChange)
    with refused("own_change"):
        dual_control.agree(change.pk, actor=petra, reason="x")
    dual_control.agree(change.pk, actor=paul, reason="seen")
    team.refresh_from_db()
    assert team.escalates_to == "manager"
    assert codes(team) == ["team.created", "team.changed", "team.changed"]


def test_owners_take_two_people_and_the_earlier_one_ends() -> None:
    petra, paul = admins()
    make_team()
    make_user("ana")
    set_owners([OwnerRow("crm", "account *", "data", team="dispatch")], actor=SYSTEM, reason="x")

    row = OwnerRow("crm", "account *", "data", person="ana")
    change = set_owners([row], actor=petra, reason="she keeps it")

    assert owners_of("crm", "account 1")["owner:data"].group == "dispatch"
    assert isinstance(change, AuthorityChange)
    dual_control.agree(change.pk, actor=paul, reason="seen")
    assert owners_of("crm", "account 1")["owner:data"].group == "@ana"
    now, before = Ownership.objects.order_by("-pk")
    assert (now.ended_at, before.ended_at is None) == (None, False)
    assert codes(before) == ["owner.set", "owner.ended"]


def test_nobody_agrees_to_their_own_ownership() -> None:
    petra, paul = admins()
    change = set_owners([OwnerRow("crm", "*", "data", person="paul")], actor=petra, reason="x")
    assert isinstance(change, AuthorityChange)

    with refused("own_benefit"):
        dual_control.agree(change.pk, actor=paul, reason="seen")


def test_the_narrowest_entry_counts() -> None:
    make_team()
    for target, system, team in (
        ("*", "*", "legal"), ("order *", "*", "support"), ("*", "crm", "finance"),
        ("order *", "crm", "operations"), ("order 7", "crm", "dispatch"),
    ):  # fmt: skip
        set_owners([OwnerRow(system, target, "data", team=team)], actor=SYSTEM, reason="x")

    def found(system: str, target: str) -> str:
        return owners_of(system, target)["owner:data"].group

    assert found("crm", "order 7") == "dispatch"
    assert found("crm", "order 77") == "operations"
    assert found("crm", "orders") == "finance"
    assert found("erp", "order 7") == "support"
    assert found("erp", "invoice 7") == "legal"


def test_a_file_says_all_that_is_wrong_at_once() -> None:
    make_user("ana")
    rows = read_owners(
        "system,target,kind,team,person\n"
        "crm,*,data,,ana\ncrm,*,data,finance,\ncrm,a*b,beauty,finanze,ana\n,x,data,,nobody\n"
    )

    with pytest.raises(Exception) as refusal:  # noqa: PT011 - every sentence is looked at
        set_owners(rows, actor=SYSTEM, reason="x")

    said = str(refusal.value)
    for sentence in (
        "Row 2: it says the same target and kind as row 1.",
        "Row 3: a target has at most one *",
        "Row 3: kind is one of data, service, process, requester.",
        "Row 3: the owner is a team or a person",
        "Row 3: there is no team 'finanze'.",
        "Row 4: system has 1 to 40 characters.",
        "Row 4: there is no active account 'nobody'.",
    ):
        assert sentence in said
    assert not Ownership.objects.exists()


@pytest.mark.parametrize(
    "text", ["", "system,target\n", "person,manager\nana\n", "person,manager\na,b,c\n", '"', "\0"]
)
def test_what_is_no_such_file_is_said_so(text: str) -> None:
    for read in (read_owners, read_line_managers):
        with refused("bad_rows"):
            read(text)


def test_line_managers_take_two_people() -> None:
    petra, paul = admins()
    ana, boss = make_user("ana"), make_user("boss")

    change = set_line_managers([ManagerRow("ana", "boss")], actor=petra, reason="new boss")

    assert User.objects.get(pk=ana.pk).line_manager is None
    assert isinstance(change, AuthorityChange)
    dual_control.agree(change.pk, actor=paul, reason="seen")
    assert User.objects.get(pk=ana.pk).line_manager == boss
    assert ladder(asked_personally("ana")) == ["@boss", "manager", "executive"]
    assert codes(User.objects.get(pk=ana.pk))[-1] == "user.changed"


def test_nobody_is_their_own_line_manager_with_another_account() -> None:
    make_user("ana")
    make_user("ana-too", person="ana")

    with refused("bad_rows"):
        set_line_managers([ManagerRow("ana", "ana-too")], actor=SYSTEM, reason="x")


def test_two_people_who_manage_each_other_are_a_ladder_that_ends() -> None:
    make_user("ana")
    make_user("ben")

    set_line_managers(
        [ManagerRow("ana", "ben"), ManagerRow("ben", "ana")], actor=SYSTEM, reason="x"
    )

    assert ladder("@ana") == ["@ben", "@ana"]


def test_hours_are_read_as_people_write_them() -> None:
    weekdays, nights = parse_hours("Mon-Fri 08:00-18:00"), parse_hours("Sat-Mon 22:00-06:00")

    assert parse_hours(" ") is None
    assert weekdays is not None
    assert (sorted(weekdays.days), weekdays.opens, weekdays.closes) == ([0, 1, 2, 3, 4], 480, 1080)
    assert nights is not None
    assert sorted(nights.days) == [0, 5, 6]
    for wrong in ("always", "Mon-Fri", "Mon 8-18", "Mon 08:00-08:00", "Mon-Fri 08:00-25:00"):
        with pytest.raises(HoursError):
            parse_hours(wrong)
