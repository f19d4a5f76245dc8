"""Asking the published policy and its floor: compiled once per process, failing closed."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from time import thread_time

from audit.lib.canonical import digest
from audit.lib.prepared import Prepared, Question
from policies.document import Document, freezes_on, may_begin_at
from policies.evaluate import FLOOR, evaluate, fail_closed
from policies.facts import Facts
from policies.models import PolicyVersion
from policies.models.versions import VersionKind, VersionStatus
from policies.parsing.grammar import read_stored
from policies.parsing.yaml_source import DocumentError
from policies.quorum import merged_requirements
from policies.triggers import Trigger
from policies.verdicts import Evaluation, Verdict
from policies.windows import hours_of, is_open

logger = logging.getLogger(__name__)

LONGEST_EVALUATION = 0.5
"""Seconds of processor time; an ordinary evaluation takes less than a thousandth of it."""
_MOST_COMPILED = 32


@dataclass(frozen=True, slots=True)
class InForce:
    """The published version of the policy, and the one of the floor it cannot weaken."""

    policy: PolicyVersion | None = None
    floor: PolicyVersion | None = None


def versions_in_force() -> InForce:
    """Both, without their texts; None for what there is none of."""
    found = {version.kind: version for version in _PUBLISHED.all()}
    return InForce(found.get(VersionKind.ORDINARY), found.get(VersionKind.FLOOR))


def active_version() -> PolicyVersion | None:
    """The published version of the policy, without its text; None when there is none."""
    return versions_in_force().policy


def versions_asked() -> Question:
    """What `versions_in_force` asks."""
    return _PUBLISHED.asking()


_PUBLISHED = Prepared(
    lambda: PolicyVersion.objects.filter(status=VersionStatus.PUBLISHED).defer("document")
)


def evaluate_active(
    facts: Facts, *, cpu_seconds: Callable[[], float] = thread_time
) -> tuple[PolicyVersion | None, Evaluation]:
    """What the published policy says. Without one, or with a broken one, people must decide."""
    versions = versions_in_force()
    return versions.policy, evaluate_together(versions, facts, cpu_seconds=cpu_seconds)


def evaluate_together(
    versions: InForce, facts: Facts, *, cpu_seconds: Callable[[], float] = thread_time
) -> Evaluation:
    """What policy and floor say together: the strictest of both.

    What the floor denies stays denied without a policy; without a floor that can be read people
    decide.
    """
    if versions.policy is None:
        return _under_floor(fail_closed("No policy is published."), versions.floor, facts)
    return evaluate_version(versions.policy, facts, floor=versions.floor, cpu_seconds=cpu_seconds)


def evaluate_version(
    version: PolicyVersion,
    facts: Facts,
    *,
    floor: PolicyVersion | None = None,
    cpu_seconds: Callable[[], float] = thread_time,
) -> Evaluation:
    """What one version says above that floor; people must decide when either cannot be read.

    So they must when it takes more than LONGEST_EVALUATION: the processor's time, not the wall's,
    so that a busy machine sends nobody anything.
    """
    document = document_of(version)
    if isinstance(document, str):
        return _under_floor(fail_closed(document, version=version.label), floor, facts)
    below = document_of(floor) if floor else None
    if isinstance(below, str):
        said = evaluate(document, facts, version=version.label)
        return said if said.verdict == Verdict.DENY else fail_closed(below, version=version.label)
    if floor is not None and below is not None:
        document = _together(document, version, below, floor)
    begun = cpu_seconds()
    return evaluate(
        document,
        facts,
        version=version.label,
        in_time=lambda: cpu_seconds() - begun < LONGEST_EVALUATION,
    )


def _under_floor(failed: Evaluation, floor: PolicyVersion | None, facts: Facts) -> Evaluation:
    """The answer without a policy, and on top of it what the floor asks or denies by itself."""
    below = document_of(floor) if floor else ""
    if floor is None or isinstance(below, str):
        return failed
    said = evaluate(below, facts, version=failed.version)
    denies = said.verdict == Verdict.DENY
    asked = merged_requirements([*failed.requirements, *said.requirements])
    spoke = tuple(entry for entry in said.trace if entry.rule.startswith(FLOOR))
    return replace(
        failed,
        verdict=Verdict.DENY if denies else failed.verdict,
        requirements=() if denies else asked,
        trace=(*spoke, *failed.trace),
        floor=floor.label,
    )


def _together(
    document: Document, version: PolicyVersion, below: Document, floor: PolicyVersion
) -> Document:
    """Both as one set of rules, compiled once."""
    key = f"{version.digest} {floor.label} {floor.digest}"
    known = _compiled.get(key)
    if known is None:
        known = document.under(below, floor.label)
        _compiled.put(key, known)
    return known


def document_of(version: PolicyVersion) -> Document | str:
    """The version's compiled document, or the sentence that says why there is none.

    A text in an older grammar is read as its upgrade, which has another digest than the version.
    """
    known = _compiled.get(version.digest)
    if known is not None:
        return known
    text = version.document
    if digest(text) != version.digest:
        logger.error("Policy version %s does not match its digest", version.label)
        return f"The document of {version.label} does not match its digest."
    try:
        document = read_stored(text).document
    except DocumentError as error:
        logger.error("Policy version %s cannot be read: %s", version.label, error)
        return f"The document of {version.label} cannot be read."
    _compiled.put(version.digest, document)
    return document


def held_until(window: str, action_type: str, now: datetime) -> datetime | None:
    """When the published policy lets execution of such an action begin, in UTC; now if it may now.

    None when nobody says: a window the published policy does not have never opens. Without a
    readable policy there are no freezes either, and people at the highest tier decided.
    """
    return held_by(active_version(), window, action_type, now)


def held_by(
    version: PolicyVersion | None, window: str, action_type: str, now: datetime
) -> datetime | None:
    """`held_until`, for who has the published version already."""
    document = document_of(version) if version else "No policy is published."
    if isinstance(document, str):
        if window:
            logger.error("Window %s stays closed: %s", window, document)
            return None
        return now
    return may_begin_at(document, window, action_type, now)


@dataclass(frozen=True, slots=True)
class Opening:
    """What execution of an action has to wait for, as the policy says it at one moment."""

    at: datetime | None
    """When it may begin, in UTC; None when nobody says."""
    hours: str
    """Those of its change window, as people read them; empty without one."""
    freezes: tuple[str, ...]


def opening_of(
    version: PolicyVersion | None, window: str, action_type: str, now: datetime
) -> Opening | None:
    """What such an action has to wait for; None when it asks for no window and nothing is frozen.

    Which ones it has a policy that cannot be read does not say.
    """
    document = document_of(version) if version else ""
    if isinstance(document, str):
        return Opening(None, "", ()) if window else None
    freezes = tuple(freeze.name for freeze in freezes_on(document, action_type, now))
    if not window and not freezes:
        return None
    named = document.windows.get(window)
    opens_at = may_begin_at(document, window, action_type, now)
    return Opening(opens_at, hours_of(named) if named else "", freezes)


def may_begin(window: str, action_type: str, now: datetime) -> bool:
    """Whether execution of such an action may begin now: window open and no freeze on."""
    opening = held_until(window, action_type, now)
    return opening is not None and opening <= now


def window_is_open(name: str, now: datetime) -> bool:
    """Whether the published policy's window is open, freezes aside; none asked for always is."""
    version = active_version()
    document = document_of(version) if version else "No policy is published."
    if isinstance(document, str) or name not in document.windows:
        return not name
    return is_open(document.windows[name], now)


@dataclass(frozen=True, slots=True)
class TriggerInForce:
    """A trigger, and the version of the policy or of the floor that says it."""

    trigger: Trigger
    version: str


def triggers_in_force() -> list[TriggerInForce]:
    """Those of the published policy, and those of its floor under `floor.` names.

    None of a document that cannot be read: then people decide everything anyway.
    """
    versions = versions_in_force()
    found = []
    for version, prefix in ((versions.policy, ""), (versions.floor, FLOOR)):
        document = document_of(version) if version is not None else ""
        if version is not None and not isinstance(document, str):
            found += [
                TriggerInForce(replace(one, id=f"{prefix}{one.id}"), version.label)
                for one in document.triggers
            ]
    return found


class _Compiled:
    """The last few documents by their version's digest, which names one document for ever."""

    def __init__(self) -> None:
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> Document | None:
        return self._documents.get(key)

    def put(self, key: str, document: Document) -> None:
        with self._lock:
            self._documents[key] = document
            while len(self._documents) > _MOST_COMPILED:
                self._documents.popitem(last=False)


_compiled = _Compiled()
