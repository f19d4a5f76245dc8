"""Is this process alive, and can the system do its work? For load balancers and people on call."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from approvals.choices import PauseScope
from approvals.selectors.dashboard import posture
from approvals.selectors.pauses import current_pauses
from approvals.selectors.watching import problems
from audit.lib import db_clock
from policies.models import PolicyVersion
from policies.models.versions import VersionStatus


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return JsonResponse({"status": "alive"})


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200 with the posture, or 503 with the part that keeps the system from working.

    Not ready: no database, waiting migrations, no published policy, a trail that takes no events.
    Then this process can do nothing it is asked for. Degraded: no worker or beat, routes nobody
    can decide, approved rows that wait, systems that do not answer. Then proposing and deciding
    go on, so it stays ready and `problems` says what is wrong.

    Parts are checked in the order in which they depend on each other; after the first failure
    the rest could only repeat it. What `problems` says is at most five seconds old.
    """
    try:
        posture = _posture()
    except Error:
        return _not_ready("database", "The database does not answer.")
    except _NotReady as missing:
        return _not_ready(missing.part, missing.reason)
    return JsonResponse({"status": "ready", **posture})


class _NotReady(Exception):
    def __init__(self, part: str, reason: str) -> None:
        super().__init__(reason)
        self.part = part
        self.reason = reason


def _posture() -> dict[str, Any]:
    connection.ensure_connection()
    if not MigrationRecorder(connection).applied_migrations().keys() >= known_migrations():
        raise _NotReady("migrations", "Migrations wait to be applied: run manage.py migrate.")
    if not PolicyVersion.objects.filter(status=VersionStatus.PUBLISHED).exists():
        raise _NotReady("policy", "No policy version is published: every proposal is refused.")
    wrong = problems()
    for problem in wrong:
        if problem.blocks:
            raise _NotReady(problem.code, problem.reason)
    now = posture(at=db_clock.now())
    return {
        "posture": "degraded" if wrong else "well",
        "problems": [{"code": problem.code, "reason": problem.reason} for problem in wrong],
        "policy": {"version": now.policy},
        "oldest_pending": {str(waiting.tier): waiting.since for waiting in now.oldest},
        "incidents": now.incidents,
        "pauses": _pauses(),
        "paused_agents": len(now.paused_agents),  # how many; who is for people who are signed in
        "last_event_at": now.last_event_at,
    }


def warm_up() -> None:
    """Read what the first probe of a process would wait for: files, and the policy in force.

    What keeps it from being ready is the probe's to say, and it looks again.
    """
    known_migrations()
    with suppress(Error, _NotReady):
        _posture()


@cache
def known_migrations() -> frozenset[tuple[str, str]]:
    """Every migration this process knows; their files are read once, as they do not change."""
    graph = MigrationLoader(None).graph
    leaves = graph.leaf_nodes()
    return frozenset(node for leaf in leaves for node in graph.forwards_plan(leaf))


def _pauses() -> dict[str, Any]:
    """What is stopped, fresh; who stopped it and why is for people who are signed in."""
    scopes = [pause.scope for pause in current_pauses()]
    return {
        "everything": PauseScope.ALL in scopes,
        "restored": PauseScope.RESTORED in scopes,
        "action_types": scopes.count(PauseScope.ACTION_TYPE),
        "connectors": sum(
            scopes.count(scope) for scope in (PauseScope.CONNECTOR, PauseScope.CONNECTION)
        ),
    }


def _not_ready(part: str, reason: str) -> HttpResponse:
    response = JsonResponse({"status": "not ready", "part": part, "reason": reason}, status=503)
    response["Retry-After"] = "5"
    return response
