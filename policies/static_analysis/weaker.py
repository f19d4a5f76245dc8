"""What a document is less strict about than the one before it: nobody weakens a policy unseen.

Two ways to find out: by what the rules, the matrix and the tiers say, and by asking the new
document the questions the old one was tested with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from django.utils.formats import date_format

from policies.cel.analysis import region_of
from policies.cel.intervals import Region, Span
from policies.document import Document, Rule, TierRule
from policies.evaluate import evaluate
from policies.models.replays import Direction
from policies.replay.backtest import Said, direction_of
from policies.static_analysis.findings import Finding, Severity
from policies.static_analysis.wording import cell_name, requirements, shown
from policies.triggers import Trigger, is_weaker, said_by
from policies.verdicts import RequirementSpec, Verdict

_STRICTNESS = {verdict: rank for rank, verdict in enumerate(Verdict)}
_DROPPED = {
    "reason_required": ("reason_dropped", "approving no longer needs a reason."),
    "always_people": ("people_dropped", "rules may allow it, or ask others, from now on."),
    "step_up": ("step_up_dropped", "deciding no longer takes a fresh proof of identity."),
    "sign_off": ("sign_off_dropped", "nobody signs off what was done any more."),
}
"""Switches of a cell: what it says when one is off that was on."""


def weaker(before: Document, after: Document) -> Iterator[Finding]:
    """Everything that is provably, or by the old tests, less strict than before."""
    new = {rule.id: rule for rule in after.rules}
    for rule in before.rules:
        yield from _rule(rule, new.get(rule.id), _numbers(before), _numbers(after))
    old = {rule.id for rule in before.rules}
    for rule in after.rules:
        if rule.id not in old and rule.effect == Verdict.ALLOW:
            said = f"it is new, and allows what it matches by itself{_in_advance(rule)}."
            yield _found("allows_more", rule, said)
    yield from _tiers(before.tiers, after.tiers)
    yield from _matrix(before, after)
    yield from _triggers(before.triggers, after.triggers)
    yield from _tests(before, after)


def _numbers(document: Document) -> dict[str, int]:
    return dict(document.parameters)


def _rule(
    was: Rule, is_now: Rule | None, old: Mapping[str, int], new: Mapping[str, int]
) -> Iterator[Finding]:
    if is_now is None:
        if was.effect != Verdict.ALLOW:
            yield _found("rule_removed", was, f"it is gone; it said {shown(was.effect)}.")
        return
    if _STRICTNESS[is_now.effect] < _STRICTNESS[was.effect]:
        sentence = f"it says {shown(is_now.effect)} instead of {shown(was.effect)}."
        yield _found("effect_loosened", is_now, sentence)
    if _covered(is_now) - _covered(was) or (was.standing and _until(is_now) > _until(was)):
        yield _found("stands_longer", is_now, f"it now allows in advance{_in_advance(is_now)}.")
    if is_now.tier < was.tier:
        sentence = f"its lowest tier is {is_now.tier} instead of {was.tier}."
        yield _found("tier_lowered", is_now, sentence)
    if is_now.effect == Verdict.REQUIRE_APPROVAL == was.effect:
        for asked, asks in ((was.requirements, is_now.requirements), (was.adds, is_now.adds)):
            if asked and _asks_less(asked, asks):
                sentence = f"it asks {requirements(asks)} instead of {requirements(asked)}."
                yield _found("asks_fewer", is_now, sentence)
    yield from _reach(was, is_now, region_of(was.when, old), region_of(is_now.when, new))


def _covered(rule: Rule) -> set[str]:
    return set(rule.standing.instead_of) if rule.standing else set()


def _until(rule: Rule) -> str:
    return rule.standing.until if rule.standing else ""


def _in_advance(rule: Rule) -> str:
    if rule.standing is None:
        return ""
    last_day = date_format(date.fromisoformat(rule.standing.until))
    return f", instead of {', '.join(rule.standing.instead_of)}, until {last_day}"


def _reach(was: Rule, is_now: Rule, old: Region, new: Region) -> Iterator[Finding]:
    """An allowing rule that matches more, or any other that matches less."""
    allows = is_now.effect == Verdict.ALLOW
    wide, narrow = (new, old) if allows else (old, new)
    if _same(was, is_now, old, new) or (wide.is_within(narrow) and not wide.opaque - narrow.opaque):
        return
    code = "allows_more" if allows else "matches_less"
    verb = "allows more" if allows else f"matches less, and says {shown(is_now.effect)}"
    facts = [fact for fact in {**old.spans, **new.spans} if _moved(fact, wide, narrow)]
    for fact in sorted(facts):
        now, then = new.spans.get(fact, Span()), old.spans.get(fact, Span())
        yield _found(code, is_now, f"{verb}: {fact} {_span(now)} instead of {_span(then)}.")
    gone, came = sorted(old.opaque - new.opaque), sorted(new.opaque - old.opaque)
    if allows and gone:
        yield _found(code, is_now, f"{verb}: it no longer asks {_quoted(gone)}.")
    if not allows and came:
        yield _found(code, is_now, f"{verb}: it now also asks {_quoted(came)}.")


def _same(was: Rule, is_now: Rule, old: Region, new: Region) -> bool:
    return was.when == is_now.when and old == new


def _moved(fact: str, wide: Region, narrow: Region) -> bool:
    return not wide.spans.get(fact, Span()).is_within(narrow.spans.get(fact, Span()))


def _span(span: Span) -> str:
    """ "from 1 up to 25000", "any of a, b", "anything"."""
    if span.allowed is not None:
        values = sorted(span.values, key=str)
        return " or ".join(shown(value) or "''" for value in values) or "nothing"
    parts = []
    if span.low is not None:
        parts.append(f"from {span.low}")
    if span.high is not None:
        parts.append(f"up to {span.high}")
    if span.barred:
        parts.append(f"not {' or '.join(repr(value) for value in sorted(span.barred, key=str))}")
    return " ".join(parts) or "anything"


def _asks_less(was: Sequence[RequirementSpec], is_now: Sequence[RequirementSpec]) -> bool:
    """Whether some requirement is not asked as strictly any more."""
    now = {spec.group: spec for spec in is_now}
    for spec in was:
        other = now.get(spec.group)
        if (
            other is None
            or other.quorum < spec.quorum
            or (spec.within_limit and not other.within_limit)
            or set(other.alternatives) - set(spec.alternatives)
            or set(spec.excludes) - set(other.excludes)
        ):
            return True
    return False


def _tiers(was: Sequence[TierRule], is_now: Sequence[TierRule]) -> Iterator[Finding]:
    """Clauses that led to a tier and now lead to a lower one, or to none."""
    tiers: dict[frozenset[str], int] = {}
    for rule in is_now:
        key = frozenset(rule.when)
        tiers[key] = max(rule.tier, tiers.get(key, 0))
    for rule in was:
        now = tiers.get(frozenset(rule.when))
        what = f'tier rule "{rule.reason}"'
        if now is None:
            sentence = f"its clauses no longer lead to tier {rule.tier}; see what does."
            yield Finding(Severity.NOTE, "tier_rule_gone", what, sentence)
        elif now < rule.tier:
            sentence = f"it says tier {now} instead of {rule.tier}."
            yield Finding(Severity.WARNING, "tier_lowered", what, sentence)


def _matrix(before: Document, after: Document) -> Iterator[Finding]:
    """Cells that ask fewer people, less evidence, no reason, or wait for no window."""
    places = {(tier, "*") for tier in range(len(before.matrix.tiers))}
    for document in (before, after):
        places |= {(o.tier, o.action_type) for o in document.matrix.overrides}
    for tier, action_type in sorted(places):
        key = action_type.replace("*", "") if action_type.endswith(".*") else action_type
        was, is_now = before.matrix.cell(tier, key), after.matrix.cell(tier, key)
        what = cell_name(tier, action_type)
        if was.requirements and _asks_less(was.requirements, is_now.requirements):
            said = (
                f"{requirements(is_now.requirements)} instead of {requirements(was.requirements)}"
            )
            yield Finding(Severity.WARNING, "asks_fewer", what, f"it asks {said}.")
        demanded = {demand.kind: demand for demand in is_now.evidence}
        missing = [d.kind for d in was.evidence if d.kind not in demanded]
        if missing:
            sentence = f"it no longer needs {', '.join(missing)} as evidence."
            yield Finding(Severity.WARNING, "evidence_dropped", what, sentence)
        for old in was.evidence:
            new = demanded.get(old.kind)
            if new is not None and new.is_weaker_than(old):
                sentence = f"it takes {new} as evidence instead of {old}."
                yield Finding(Severity.WARNING, "evidence_weaker", what, sentence)
        for name, (code, sentence) in _DROPPED.items():
            if getattr(was, name) and not getattr(is_now, name):
                yield Finding(Severity.WARNING, code, what, sentence)
        if was.window and not is_now.window:
            sentence = f"execution no longer waits for the window {was.window}."
            yield Finding(Severity.WARNING, "window_dropped", what, sentence)


def _triggers(was: Sequence[Trigger], is_now: Sequence[Trigger]) -> Iterator[Finding]:
    """Triggers that are gone, fire later, or do less."""
    new = {trigger.id: trigger for trigger in is_now}
    for trigger in was:
        what, other = f"trigger {trigger.id}", new.get(trigger.id)
        if other is None:
            sentence = f"it is gone; it said {trigger.then} at {trigger.at_least:,}."
            yield Finding(Severity.WARNING, "trigger_removed", what, sentence)
        elif is_weaker(trigger, other):
            yield Finding(
                Severity.WARNING,
                "trigger_loosened",
                what,
                f"it says {said_by(other)}, instead of {said_by(trigger)}.",
            )


def _tests(before: Document, after: Document) -> Iterator[Finding]:
    """What the version before was tested with, asked of both."""
    for test in before.tests:
        was = Said.of(evaluate(before, test.facts, version=""))
        is_now = Said.of(evaluate(after, test.facts, version=""))
        if direction_of(was, is_now) == Direction.LOOSER:
            sentence = f"the version before answered {_said(was)}, this one {_said(is_now)}."
            yield Finding(Severity.WARNING, "test_weaker", f'test "{test.name}"', sentence)


def _said(said: Said) -> str:
    people = f" by {said.people} of {' and '.join(said.asked)}" if said.asked else ""
    return f"{shown(said.verdict)}{people} at tier {said.tier}"


def _found(code: str, rule: Rule, sentence: str) -> Finding:
    return Finding(Severity.WARNING, code, f"rule {rule.id}", sentence)


def _quoted(texts: Sequence[str]) -> str:
    return " and ".join(f"`{text}`" for text in texts)
