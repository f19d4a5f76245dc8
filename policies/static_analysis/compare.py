"""What two policy documents say differently, part by part, for somebody who reads before agreeing.

Pure. Parts are matched by id, name or place in the matrix: moving a rule changes nothing, since
every matching rule counts. Comments and layout are not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from policies.document import Document, Expectation, Rule, TierRule
from policies.facts import CASE, declared
from policies.static_analysis.amounts import amount_words, money_parameters
from policies.static_analysis.wording import aspect, cell_name, requirements, shown, whole

_READ_APART = frozenset({"digest", "rules", "tiers", "matrix", "tests"})
_PEOPLE = frozenset({"requirements", "adds"})
_SENTENCES = frozenset({"reason", "meaning"})
_SINGULAR = {"windows": "window", "freezes": "freeze", "categories": "category"}


class ChangeKind(StrEnum):
    """What happened to the part."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; `before` and `after` stand side by side, empty where there is nothing."""

    kind: ChangeKind
    what: str  # "rule refund-clean", "tier 3 for refund.*"
    sentence: str
    before: str
    after: str


def compare(before: Document, after: Document) -> tuple[Change, ...]:
    """Every difference, in the order a document is read in. Empty when both say the same."""
    return (
        *_named("rule", _by_id(before.rules), _by_id(after.rules)),
        *_tier_rules(before.tiers, after.tiers),
        *_named("", _cells(before), _cells(after)),
        *_other_parts(before, after),
        *_tests(before.tests, after.tests),
    )


def _by_id(rules: Iterable[Rule]) -> dict[str, object]:
    return {rule.id: rule for rule in rules}


def _cells(document: Document) -> dict[str, object]:
    tiers = {cell_name(tier): cell for tier, cell in enumerate(document.matrix.tiers)}
    overrides = {cell_name(o.tier, o.action_type): o for o in document.matrix.overrides}
    return {**tiers, **overrides}


def _named(
    kind: str, before: Mapping[str, object], after: Mapping[str, object]
) -> Iterator[Change]:
    """Parts with a name: those that came, went, or say something else."""
    for name in dict.fromkeys([*before, *after]):
        what = f"{kind} {name}".strip()
        if name not in after:
            yield _change(ChangeKind.REMOVED, what, f"{_upper(what)} is gone.", before[name], None)
        elif name not in before:
            yield _change(ChangeKind.ADDED, what, f"{_upper(what)} is new.", None, after[name])
        elif before[name] != after[name]:
            yield from _changed(what, before[name], after[name])


def _changed(what: str, before: object, after: object) -> Iterator[Change]:
    if type(before) is not type(after) or not hasattr(before, "__dataclass_fields__"):
        yield _change(ChangeKind.CHANGED, what, f"{_upper(what)} is another.", before, after)
        return
    for field in fields(before):  # type: ignore[arg-type]
        was, is_now = getattr(before, field.name), getattr(after, field.name)
        if was == is_now:
            continue
        if field.name == "when":
            yield _clauses(what, was, is_now)
            continue
        words: Callable[[Any], str] = shown
        if field.name in _PEOPLE and None not in (was, is_now):
            words = requirements
        elif field.name in _SENTENCES:
            words = _in_quotes
        yield Change(
            ChangeKind.CHANGED,
            what,
            f"{_upper(what)}, {aspect(field.name)}: {words(is_now)} instead of {words(was)}.",
            words(was),
            words(is_now),
        )


def _clauses(what: str, before: tuple[str, ...], after: tuple[str, ...]) -> Change:
    gone = [clause for clause in before if clause not in after]
    new = [clause for clause in after if clause not in before]
    if gone and new:
        said = f"asks {_quoted(new)} instead of {_quoted(gone)}"
    elif new:
        said = f"also asks {_quoted(new)}"
    elif gone:
        said = f"no longer asks {_quoted(gone)}"
    else:
        said = "asks the same in another order"
    texts = "\n".join(before), "\n".join(after)
    return Change(ChangeKind.CHANGED, what, f"{_upper(what)} {said}.", *texts)


def _tier_rules(before: tuple[TierRule, ...], after: tuple[TierRule, ...]) -> Iterator[Change]:
    """Tier rules have no name: the same reason, or else the same clauses, are the same rule."""
    left = list(after)
    pairs: list[tuple[TierRule, TierRule | None]] = []
    for rule in before:
        same = next((r for r in left if r == rule), None) or next(
            (r for r in left if r.reason == rule.reason), None
        )
        same = same or next((r for r in left if r.when == rule.when), None)
        if same is not None:
            left.remove(same)
        pairs.append((rule, same))
    for rule, same in pairs:
        what = f'tier rule "{rule.reason}"'
        if same is None:
            yield _change(ChangeKind.REMOVED, what, f"{_upper(what)} is gone.", rule, None)
        elif same != rule:
            yield from _changed(what, rule, same)
    for rule in left:
        what = f'tier rule "{rule.reason}"'
        sentence = f"{_upper(what)} is new and says tier {rule.tier}."
        yield _change(ChangeKind.ADDED, what, sentence, None, rule)


def _other_parts(before: Document, after: Document) -> Iterator[Change]:
    """Windows, freezes and whatever else a document holds: by name where they have one."""
    for field in fields(Document):
        if field.name in _READ_APART:
            continue
        was, is_now = getattr(before, field.name), getattr(after, field.name)
        if was == is_now:
            continue
        if field.name == "parameters":
            money = money_parameters(before) | money_parameters(after)
            yield from _parameters(dict(was), dict(is_now), money)
            continue
        if isinstance(was, Mapping | tuple) and isinstance(is_now, Mapping | tuple):
            kind = _SINGULAR.get(field.name, aspect(field.name).removesuffix("s"))
            yield from _named(kind, _by_name(was), _by_name(is_now))
            continue
        what = aspect(field.name)
        if was is None or is_now is None:
            kind_ = ChangeKind.ADDED if was is None else ChangeKind.REMOVED
            verb = "are new" if was is None else "are gone"
            yield _change(kind_, what, f"{_upper(what)} {verb}.", was, is_now)
        else:
            yield from _changed(what, was, is_now)


def _parameters(
    before: Mapping[str, int], after: Mapping[str, int], money: Collection[str]
) -> Iterator[Change]:
    """Each parameter that differs; those in `money` as money."""
    for name in dict.fromkeys([*before, *after]):
        what, was, is_now = f"parameter {name}", before.get(name), after.get(name)
        words = amount_words if name in money else "{:,}".format
        if was is None and is_now is not None:
            sentence = f"{_upper(what)} is new: {words(is_now)}."
            yield _change(ChangeKind.ADDED, what, sentence, None, is_now)
        elif is_now is None:
            yield _change(ChangeKind.REMOVED, what, f"{_upper(what)} is gone.", was, None)
        elif was is not None and was != is_now:
            sentence = f"{_upper(what)} is {words(is_now)} instead of {words(was)}."
            yield _change(ChangeKind.CHANGED, what, sentence, was, is_now)


def _by_name(items: Mapping[str, object] | tuple[object, ...]) -> dict[str, object]:
    if isinstance(items, Mapping):
        return dict(items)
    return {str(getattr(item, "name", None) or getattr(item, "id", item)): item for item in items}


def _tests(before: tuple[Expectation, ...], after: tuple[Expectation, ...]) -> Iterator[Change]:
    was, is_now = {test.name: test for test in before}, {test.name: test for test in after}
    for name in dict.fromkeys([*was, *is_now]):
        what = f'test "{name}"'
        texts = (
            _test(was[name]) if name in was else "",
            _test(is_now[name]) if name in is_now else "",
        )
        if name not in is_now:
            yield Change(ChangeKind.REMOVED, what, f"{_upper(what)} is gone.", *texts)
        elif name not in was:
            yield Change(ChangeKind.ADDED, what, f"{_upper(what)} is new.", *texts)
        elif was[name] != is_now[name]:
            yield Change(
                ChangeKind.CHANGED, what, f"{_upper(what)} expects something else.", *texts
            )


def _test(test: Expectation) -> str:
    """The test's facts as far as they are not the defaults, and what it expects."""
    given = [
        f"{name}: {shown(value)}"
        for name, value in test.facts.flat().items()
        if name in CASE
        or (tuple(value) if isinstance(value, list) else value) != declared()[name].default
    ]
    expected = [f"expects {shown(test.verdict)}"]
    if test.tier is not None:
        expected.append(f"tier {test.tier}")
    if test.groups is not None:
        expected.append(" and ".join(test.groups) or "nobody")
    return "\n".join([*given, ", ".join(expected)])


def _change(
    kind: ChangeKind, what: str, sentence: str, before: object | None, after: object | None
) -> Change:
    return Change(
        kind,
        what,
        sentence,
        "" if before is None else whole(before),
        "" if after is None else whole(after),
    )


def _in_quotes(value: object) -> str:
    return f'"{value}"'


def _quoted(clauses: list[str]) -> str:
    return " and ".join(f"`{clause}`" for clause in clauses)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
