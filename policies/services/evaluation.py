"""Asking the published policy: the right version, compiled once per process, failing closed."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from threading import Lock
from time import thread_time

from audit.lib.canonical import digest
from policies.document import Document, may_begin_at
from policies.evaluate import evaluate, fail_closed
from policies.facts import Facts
from policies.models import PolicyVersion
from policies.models.versions import VersionStatus
from policies.parsing.grammar import read_stored
from policies.parsing.yaml_source import DocumentError
from policies.verdicts import Evaluation
from policies.windows import is_open

logger = logging.getLogger(__name__)

LONGEST_EVALUATION = 0.5
"""Seconds of processor time; an ordinary evaluation takes less than a thousandth of it."""
_MOST_COMPILED = 32


def active_version() -> PolicyVersion | None:
    """The published version, without its text; None when there is none."""
    return PolicyVersion.objects.filter(status=VersionStatus.PUBLISHED).defer("document").first()


def evaluate_active(
    facts: Facts, *, cpu_seconds: Callable[[], float] = thread_time
) -> tuple[PolicyVersion | None, Evaluation]:
    """What the published policy says. Without one, or with a broken one, people must decide."""
    version = active_version()
    if version is None:
        return None, fail_closed("No policy is published.")
    return version, evaluate_version(version, facts, cpu_seconds=cpu_seconds)


def evaluate_version(
    version: PolicyVersion, facts: Facts, *, cpu_seconds: Callable[[], float] = thread_time
) -> Evaluation:
    """What one version says, published or not; people must decide when it cannot be read.

    So they must when it takes more than LONGEST_EVALUATION: the processor's time, not the wall's,
    so that a busy machine sends nobody anything.
    """
    document = document_of(version)
    if isinstance(document, str):
        return fail_closed(document, version=version.label)
    begun = cpu_seconds()
    return evaluate(
        document,
        facts,
        version=version.label,
        in_time=lambda: cpu_seconds() - begun < LONGEST_EVALUATION,
    )


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
