"""What an action waits for before it begins: its change window, freezes, and whether in vain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from approvals.choices import WITHDRAWABLE
from approvals.selectors.evidence_view import stored_json
from approvals.selectors.request_view import RequestView
from audit.lib.dates import format_moment


@dataclass(frozen=True, slots=True)
class OpeningShown:
    """What execution waits for, as policy said when it looked last."""

    window: str  # "changes"; empty when only a freeze is in the way
    hours: str  # "mon, tue 22:00 to 02:00 Europe/Berlin"
    freezes: tuple[str, ...]
    at: datetime | None
    """When it may begin; None when nobody says."""
    latest: datetime | None
    """When it must have been carried out, as if people decided in their last moment."""

    @property
    def is_too_late(self) -> bool:
        """Whether it can never run in time, whoever approves it, and will expire."""
        return self.latest is not None and (self.at is None or self.at >= self.latest)

    @property
    def sentence(self) -> str:
        """What is waited for, until when, and what follows where that is too late."""
        window = f'the change window "{self.window}"' if self.window else ""
        hours = f" ({self.hours})" if self.hours else ""
        frozen = "the freeze " + ", ".join(self.freezes) if self.freezes else ""
        waits = " and ".join(filter(None, [window + hours if window else "", frozen]))
        if self.at is None:
            return f"It waits for {waits}, which the published policy never opens."
        if not self.is_too_late or self.latest is None:
            return f"It waits for {waits}: it may begin from {format_moment(self.at)} on."
        return (
            f"It waits for {waits} and could begin on {format_moment(self.at)} at the earliest, "
            f"which is after {format_moment(self.latest)}, when it must have been carried out. It "
            "cannot run in time, whoever approves it: propose it again closer to its window."
        )


def opening_shown(view: RequestView) -> OpeningShown | None:
    """As its newest evaluation says; None where it waits for nothing, has begun or has ended."""
    request = view.request
    if request.state not in WITHDRAWABLE or not view.policies:
        return None
    decision = view.policies[0].decision
    said = stored_json(decision.trace).get("opening")
    if not isinstance(said, dict):  # also what earlier releases evaluated
        return None
    latest = request.execute_by
    if latest is None and request.decide_by is not None:
        latest = request.decide_by + decision.execute_within
    return OpeningShown(
        window=decision.window,
        hours=str(said.get("hours", "")),
        freezes=tuple(map(str, said.get("freezes", ()))),
        at=datetime.fromisoformat(said["at"]) if said.get("at") else None,
        latest=latest,
    )
