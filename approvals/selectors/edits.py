"""What people changed about an agent's proposal: who, when, why, and word by word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from itertools import groupby

from approvals.choices import DecisionVerdict
from approvals.inspection import reveal
from approvals.models import ActionRequest, Decision
from approvals.selectors.evidence_view import leaves, shown_value, stored_json
from approvals.selectors.requests import contents_of
from approvals.selectors.viewer_permissions import name_of
from audit.lib.canonical import JsonObject, JsonValue

_MOST_WORDS = 4_000
"""Longer texts are shown whole, before and after: comparing takes the square of their length."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of a text that was changed; `kind` is "same", "gone" or "new"."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class FieldEdited:
    """One field, what it was and what it is; `pieces` hold both where both are texts."""

    name: str
    before: str
    after: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """One person's change, on the way to the version at hand."""

    by: str
    at: datetime
    reason: str
    comment: str
    version: int
    """The version it made."""
    fields: tuple[FieldEdited, ...]


def edits_of(request: ActionRequest, decisions: Sequence[Decision]) -> tuple[Edit, ...]:
    """What people changed since the agent last said what is to be done, the newest first.

    `decisions` are all of the request's. What only brought evidence changed nothing.
    """
    edited = _versions_edited(request)
    made = [d for d in decisions if d.verdict == DecisionVerdict.EDIT and d.version + 1 in edited]
    return tuple(_edit(decision) for decision in reversed(made))


def word_pieces(before: str, after: str) -> tuple[Piece, ...]:
    """The two texts as one, with the words that went and those that came."""
    old, new = _words(before), _words(after)
    if max(len(old), len(new)) > _MOST_WORDS:
        return tuple(_changed(before, after))
    found: list[Piece] = []
    gone = came = ""
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for step, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        removed, added = "".join(old[old_from:old_to]), "".join(new[new_from:new_to])
        if step == "equal" and (removed.strip() or not (gone or came)):
            found += [*_changed(gone, came), Piece("same", removed)]
            gone = came = ""
        else:  # a space between two changes parts nothing: they are read as one
            gone, came = gone + removed, came + added
    return (*found, *_changed(gone, came))


def _changed(gone: str, came: str) -> list[Piece]:
    return [Piece(kind, text) for kind, text in (("gone", gone), ("new", came)) if text]


def _versions_edited(request: ActionRequest) -> frozenset[int]:
    contents = contents_of(request)
    found = set()
    pairs = zip(reversed(contents), [*reversed(contents[:-1]), None], strict=True)
    for content, earlier in pairs:
        if content.edited_by_id is not None:
            found.add(content.version)
        elif earlier is None or content.digest != earlier.digest:
            break  # from here back these are the agent's own words
    return frozenset(found)


def _edit(decision: Decision) -> Edit:
    changed = stored_json(decision.edits)
    return Edit(
        by=name_of(decision.decider),
        at=decision.created_at,
        reason=decision.get_reason_code_display() if decision.reason_code else "",
        comment=reveal(decision.comment),
        version=decision.version + 1,
        fields=tuple(
            field
            for name, pair in changed.items()
            if isinstance(pair, list) and len(pair) == 2
            for field in _fields(name, *pair)
        ),
    )


def fields_changed(before: JsonObject, after: JsonObject) -> Iterator[FieldEdited]:
    """Every field that differs between two versions of the same params."""
    for name in {**before, **after}:
        if before.get(name) != after.get(name):
            yield from _fields(name, before.get(name), after.get(name))


def _fields(name: str, before: JsonValue, after: JsonValue) -> Iterator[FieldEdited]:
    """The param itself, or each of its leaves that changed."""
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        old, new = dict(leaves(before, name)), dict(leaves(after, name))
        for path in {**old, **new}:
            if old.get(path) != new.get(path):
                yield _field(path, old.get(path), new.get(path))
        return
    yield _field(name, before, after)


def _field(name: str, before: JsonValue, after: JsonValue) -> FieldEdited:
    old = "" if before is None else shown_value(before)
    new = "" if after is None else shown_value(after)
    are_texts = isinstance(before, str) and isinstance(after, str)
    pieces = word_pieces(old, new) if are_texts else ()
    return FieldEdited(reveal(name), old, new, pieces)


def _words(text: str) -> list[str]:
    """Words and what stands between them, in order: joined they are the text."""
    return ["".join(letters) for _, letters in groupby(text, key=str.isspace)]
