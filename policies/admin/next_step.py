"""The one thing to do next with a version, as far as its reader may."""

from __future__ import annotations

from dataclasses import dataclass

from policies.admin.replay_panel import ReplayPanel
from policies.models import PolicyVersion, User
from policies.models.versions import VersionStatus
from policies.services.publishable import hand_in, unready, why_not_request

_REPAIRS = ("tests_fail", "lint_errors", "invalid_document", "digest_mismatch")
_REPLAYS = ("replay_missing", "outdated")


@dataclass(frozen=True, slots=True)
class Step:
    """The one thing to do next: a sentence, and the door that does it, when this reader may."""

    title: str
    text: str
    door: str = ""  # "edit", "replay", "propose", "publish", "roll_back"; "" for none
    button: str = ""
    tone: str = "info"


def next_step(
    version: PolicyVersion, *, viewer: User, may_write: bool, replay: ReplayPanel | None
) -> Step:
    status = VersionStatus(version.status)
    if status == VersionStatus.PUBLISHED:
        return Step(
            "In force",
            "Every new request is judged by it. It is retired when its successor is published; "
            "requests it judged keep it.",
            tone="good",
        )
    if status == VersionStatus.RETIRED:
        said = "Its successor retired it; requests it judged keep it."
        if not may_write:
            return Step("Retired", said)
        return Step(
            "Retired",
            f"{said} Rolling back proposes this text again as a new version, which somebody else "
            "publishes.",
            "roll_back",
            "Roll back to this text",
        )
    if status == VersionStatus.DISCARDED:
        return Step("Discarded", "It was given up and goes nowhere; its words stay readable.")
    return _open_step(version, viewer, may_write, replay)


def _open_step(
    version: PolicyVersion, viewer: User, may_write: bool, replay: ReplayPanel | None
) -> Step:
    is_draft = version.status == VersionStatus.DRAFT
    title = "Draft" if is_draft else "Waiting for publication"
    if not may_write:
        return Step(title, "Risk owners and ops admins write and publish policy.")
    own = None if is_draft else hand_in(version, viewer)
    unmet = why_not_request(version) if is_draft else unready(version)
    if unmet is not None and unmet.code in _REPAIRS:
        door, button = ("edit", "Edit the draft") if is_draft else ("", "")
        return Step("Something to put right", unmet.message, door, button, "loud")
    last = f" {own.message}" if own else ""
    if unmet is not None and unmet.code in _REPLAYS:
        if replay and replay.is_running and replay.is_of_this_text:
            said = "It shows what would have changed for past requests."
            return Step("The replay runs", f"{said}{last}")
        said = f"{unmet.message}{last}"
        return Step("Replay it first", said, "replay", "Replay over past requests", "warn")
    if is_draft:
        return Step(
            "Ready to be proposed",
            "Its tests pass and its replay is there. Ask a colleague to publish it; from then on "
            "its words stay.",
            "propose",
            "Ask for publication",
        )
    if own is not None:
        return Step(title, own.message)
    return Step(
        "Yours to decide",
        "From then on every new request is judged by it. It never changes again.",
        "publish",
        f"Publish {version.label}",
    )
