"""What the database holds of connections. See `audit.protection`."""

from __future__ import annotations

from audit.protection import CHAIN, Protected, moves, once

PROTECTED = (
    Protected(
        "connectors.connection",
        (
            CHAIN,
            moves(
                *("values", "credential_source", "credential_name", "owner", "calls_per_minute"),
                when="OLD.{removed_at} IS NULL",
                needs_event=True,
            ),
            once("removed_at", needs_event=True),
        ),
    ),
    Protected("connectors.unexpectedanswer"),
    Protected("connectors.binding", (once("ended_at", needs_event=True),), event_of="connection"),
)

FREE = {
    "connectors.connectiontoken": "encrypted, replaced when one ends; losing one costs a sign-in",
    "connectors.signin": "encrypted, and of use for minutes; what came of it is in the trail",
    "connectors.connectionstate": "breaker, probe and budget: how a system fares, told by nobody",
}
