"""Bringing the demo world into an empty database, and telling how to get in and what to try."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction

from approvals.api.authentication import find_key
from approvals.demo.world import (
    AGENTS,
    CASES,
    DRAFT,
    GROUP_LIMITS,
    PASSWORD,
    PEOPLE,
    RATES,
    TEAMS,
    DemoAgent,
    DemoTeam,
    Person,
)
from approvals.models import Agent
from approvals.services.agents import issue_key, register_agent
from audit.actors import Actor
from audit.lib import db_clock
from audit.lib.money import Money
from policies.models import ApprovalLimit, ExchangeRate, PolicyVersion, Team, User
from policies.services.limits import set_limit
from policies.services.ownership import OwnerRow, set_owners
from policies.services.people import create_user
from policies.services.publishable import in_force
from policies.services.rates import set_rate
from policies.services.shadow import start_shadow
from policies.services.teams import create_team
from policies.services.versions import draft_version
from policies.team_names import OwnerKind

DEMO = Actor.system("demo")
_KEY_LIFETIME = timedelta(days=90)


def load_demo(path: Path, *, base_url: str, sandbox: dict[str, str]) -> dict[str, Any]:
    """Create what is missing and write `path` (0600): addresses, accounts, agents with keys.

    Keys are shown once; a later start reads them back from the file it wrote. Where the file is
    gone, the agents get new keys and the old ones stay valid until they expire.
    """
    with transaction.atomic():
        for team in TEAMS:
            _team(team)
        for person in PEOPLE:
            _person(person)
        for role, each in GROUP_LIMITS.items():
            _group_limit(role, each)
        for agent in AGENTS:
            _agent(agent)
        for currency, rate in RATES.items():
            _rate(currency, rate)
        _draft()
    known = _known_keys(path)
    summary = {
        "base_url": base_url,
        "accounts": [
            {"username": p.username, "password": PASSWORD, "groups": list(p.groups)} for p in PEOPLE
        ],
        "agents": [
            {
                "name": agent.name,
                "key": known.get(agent.name) or _new_key(agent),
                "action_types": list(agent.action_types),
            }
            for agent in AGENTS
        ],
        "sandbox": sandbox,
    }
    _write(path, summary)
    return summary


def _team(team: DemoTeam) -> None:
    """A team beside the built-in ones, and what it owns: data, as an ops admin would enter it."""
    if Team.objects.filter(code=team.code).exists():
        return
    create_team(
        actor=DEMO,
        code=team.code,
        name=team.name,
        escalates_to=team.escalates_to,
        hours=team.hours,
    )
    owned = OwnerRow(team.system, team.target, OwnerKind.SERVICE, team=team.code)
    set_owners([owned], actor=DEMO, reason="demo")


def _person(person: Person) -> None:
    if User.objects.filter(username=person.username).exists():
        return
    user = create_user(
        actor=DEMO,
        username=person.username,
        password=PASSWORD,
        roles=person.groups,
        email=f"{person.username}@retailer.example",
        first_name=person.first_name,
        last_name=person.last_name,
    )
    if person.limit:
        set_limit(
            actor=DEMO,
            user_id=user.pk,
            action_type="*",
            currency="EUR",
            each_minor=Money.parse(person.limit, "EUR").minor,
            reason="demo",
        )


def _group_limit(role: str, each: str) -> None:
    group = Group.objects.get(name=role)
    if ApprovalLimit.objects.filter(group=group, valid=True).exists():
        return
    set_limit(
        actor=DEMO,
        role=role,
        action_type="*",
        currency="EUR",
        each_minor=Money.parse(each, "EUR").minor,
        reason="demo",
    )


def _agent(agent: DemoAgent) -> None:
    if Agent.objects.filter(name=agent.name).exists():
        return
    register_agent(
        name=agent.name,
        owner=User.objects.get(username=agent.owner),
        team=agent.team,
        model=agent.model,
        action_types=agent.action_types,
        ceiling=Money.parse(agent.ceiling, "EUR") if agent.ceiling else None,
        actor=DEMO,
    )


def _rate(currency: str, rate: str) -> None:
    """Fictitious, and dated today: a rate grows too old to use within days."""
    today = db_clock.now().date()
    if not ExchangeRate.objects.filter(currency=currency, day=today).exists():
        set_rate(currency, today, Decimal(rate), actor=DEMO)


def _draft() -> None:
    """A change of policy that waits in the shadow for its author, out of everybody's way."""
    current = in_force()
    rita = User.objects.get(username=DRAFT.author)
    if current is None or PolicyVersion.objects.filter(author__isnull=False).exists():
        return
    if DRAFT.before not in current.document:
        return
    text = current.document.replace(DRAFT.before, DRAFT.after, 1)
    draft = draft_version(text, author=rita, reason=DRAFT.reason)
    start_shadow(draft.pk, actor=Actor.human(rita), reason=DRAFT.shadow_reason)


def _new_key(agent: DemoAgent) -> str:
    row = Agent.objects.get(name=agent.name)
    return issue_key(row.pk, actor=DEMO, lifetime=_KEY_LIFETIME).secret


def _known_keys(path: Path) -> dict[str, str]:
    """Keys of an earlier start that this database still knows."""
    try:
        written = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return {a["name"]: a["key"] for a in written["agents"] if find_key(a["key"]) is not None}


def _write(path: Path, summary: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(summary, indent=2) + "\n")
    os.replace(partial, path)


def demo_file() -> Path:
    """Where scripts look for the demo's addresses and keys."""
    return Path(settings.VAR_DIR) / "demo.json"


def walkthrough(summary: dict[str, Any]) -> str:
    """The demo's accounts and a five-minute tour, as plain text."""
    base_url = summary["base_url"]
    people = "\n".join(
        f"    {a['username']:<8} {', '.join(a['groups'])}" for a in summary["accounts"]
    )
    cases = "\n".join(f"    {c.becomes:<18} {c.title}" for c in CASES)
    return f"""
Countersign is at {base_url}/admin/   (everybody's password: {PASSWORD})

{people}

  A minute after the start the scripted agents' cases stand like this:

{cases}

  Five minutes:
    1. As fiona (finance): the refund of a customer who complained. Read why it is here, approve
       it, and watch it become audited within seconds.
    2. As mona (manager): the 1,200.00 EUR refund. It is above her limit; the page says who can.
       As max: approve it.
    3. As olga (finance, but she owns the refund agent): the page tells her why she may not.
    4. As susi (support): approve the e-mail with edits. As sam: approve the edited text.
    5. As omar (operations): the CRM stage change; look at the difference, approve, then undo it.
       Start the robot task, and watch. Resolve the shipment whose outcome nobody knows.
    6. As sara and olive: the access right for Jonas needs both. Sign off the one for Mia.
    7. As ada (auditor): Records and Trail. Then, in another terminal:
       .venv/bin/python manage.py verify_audit
    8. As rita (risk owner): her draft raises the limit for automatic refunds and runs in the
       shadow. Replay it over the requests so far, see the sum, ask for publication. As rolf:
       publish it.
    9. As petra (ops admin): give fiona a limit of 750.00 EUR. It waits; as paul: agree to it.
   10. As max: pause payments and see it said on every page; only petra or paul lift it. Under
       Records, open a request of tier 4 and use break-glass. As sara: review the emergency.

  API: {base_url}/api/v1/docs/ · keys and addresses for scripts: var/demo.json
  What really happened at the outside systems: {summary["sandbox"]["payments"]}/_effects
"""
