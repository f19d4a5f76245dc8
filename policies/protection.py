"""What the database holds of policy and authority. See `audit.protection`."""

from __future__ import annotations

from audit.protection import CHAIN, Protected, moves, once

PROTECTED = (
    Protected("policies.policyedit"),
    Protected("policies.exchangerate"),
    Protected("policies.reauthentication"),
    Protected("policies.shadowverdict"),
    Protected(
        "policies.approvallimit",
        (
            CHAIN,
            moves("each_minor", "per_day_minor", when="OLD.{valid}", needs_event=True),
            moves("valid", when="OLD.{valid}", needs_event=True),
        ),
    ),
    Protected("policies.delegation", (CHAIN, once("revoked_at", needs_event=True))),
    Protected("policies.team", (CHAIN, moves("name", "escalates_to", "hours", needs_event=True))),
    Protected("policies.ownership", (CHAIN, once("ended_at", needs_event=True))),
    Protected("policies.absence", (CHAIN, once("cancelled_at", needs_event=True))),
    Protected(
        "policies.authoritychange",
        (
            CHAIN,
            moves(
                *("status", "decided_by", "decided_at", "decided_reason"),
                when="OLD.{status} = 'waiting'",
                needs_event=True,
            ),
        ),
    ),
    Protected(
        "policies.policyversion",
        (
            CHAIN,
            # words change only while the version is a draft and stays one
            moves(
                *("document", "digest"),
                when="OLD.{status} = 'draft' AND NEW.{status} = 'draft'",
                needs_event=True,
            ),
            moves(
                *("status", "publisher", "published_at"),
                when="OLD.{status} IN ('draft', 'proposed')"
                " OR (OLD.{status} = 'published' AND NEW.{status} = 'retired'"
                " AND NEW.{published_at} = OLD.{published_at})",
                needs_event=True,
            ),
            once("retired_at", needs_event=True),
            moves("shadowing_since", needs_event=True),
        ),
    ),
    # the outcome of a replay, which a publication rests on
    Protected(
        "policies.backtest",
        (
            moves(
                *("status", "total", "done", "summary", "problem"),
                *("started_at", "beat_at", "finished_at"),
                when="OLD.{status} IN ('waiting', 'running')",
            ),
        ),
    ),
    # Django writes `last_login`, services the rest; who may do what is asked anew at every use
    Protected(
        "policies.user",
        (
            CHAIN,
            moves("last_login", "password", "username", "first_name", "last_name", "email"),
            moves("is_active", "is_staff", "is_superuser", "person"),
            moves("line_manager", needs_event=True),
        ),
    ),
)

FREE = {
    "policies.backtestflip": "a replay that starts again begins its list anew",
    "policies.user_groups": "roles come and go; services record it, the rows are only a list",
    "policies.user_user_permissions": "never asked: authority comes from roles",
}
