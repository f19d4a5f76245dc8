"""Stopping from the command line, with nothing running but the database."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from approvals.exceptions import Paused
from tests.approvals.make import Cast, make_crm


def run(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--all", "", "everything"),
        ("--action-type", "crm.update", "action type crm.update"),
        ("--connector", "records", "connector records"),
        ("--agent", "refund-bot", "agent refund-bot"),
    ],
)
def test_the_commands_stop_and_resume(cast: Cast, option: str, value: str, named: str) -> None:
    target = (option, value) if value else (option,)

    stopped = run("pause", *target, "--reason", "numbers look odd")

    assert re.match(rf"{named}: since \d{{1,2}} \w{{3}} \d{{4}}, \d\d:\d\d CES?T", stopped)
    assert stopped == run("pause", "--list")
    cast.agent.refresh_from_db()  # whoever authenticates reads it anew each time
    with pytest.raises(Paused):
        make_crm(cast)
    with pytest.raises(CommandError, match="already"):
        run("pause", *target, "--reason", "again")
    assert run("resume", *target) == "Nothing is paused.\n"
    cast.agent.refresh_from_db()
    with pytest.raises(CommandError, match="not paused"):
        run("resume", *target)
    assert make_crm(cast).state == "pending_approval"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("pause", "--all"), "Write why"),
        (("pause", "--connector", "fax", "--reason", "x"), "payments"),
        (("pause", "--agent", "nobody", "--reason", "x"), "There are: refund-bot"),
    ],
)
def test_the_commands_say_what_is_wrong(cast: Cast, command: tuple[str, ...], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        run(*command)

    assert run("pause", "--list") == "Nothing is paused.\n"
