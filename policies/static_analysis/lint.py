"""Static checks of a policy document: what cannot be meant, what nobody can do, what got weaker.

Pure: who there is, which action types there are and what day it is are passed in. Findings never
guess: what cannot be shown from the text is not claimed. The tests a document brings along are run
here, too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta

from django.utils.formats import date_format

from policies import patterns
from policies.cel.analysis import literals_of, region_of
from policies.cel.compiler import suggestion
from policies.cel.intervals import Region
from policies.document import Document, Expectation, Rule
from policies.evaluate import evaluate
from policies.static_analysis.findings import Finding, Severity
from policies.static_analysis.reach import People, out_of_reach
from policies.static_analysis.weaker import weaker
from policies.static_analysis.wording import cell_name
from policies.verdicts import Evaluation, Verdict

VOCABULARY: Mapping[str, tuple[str, ...]] = {
    "action.verb": ("read", "draft", "send", "update", "delete", "pay", "grant", "execute"),
    "action.reversibility": (
        "read-only",
        "reversible",
        "externally reversible",
        "irreversible",
    ),
    "evidence.lowest_authority": ("", "official", "internal", "external", "unknown"),
    "evidence.flags": (
        "injection",
        "bidi",
        "invisible",
        "look-alike",
        "contradiction",
        "markup",
        "link",
        "long",
    ),
}
"""Facts whose values come from a closed list."""

LONGEST_STANDING = timedelta(days=366)
EXPIRES_SOON = timedelta(days=30)
_STRICTNESS = {verdict: rank for rank, verdict in enumerate(Verdict)}
_ID = re.compile(r"\bid:\s*+[\"']?([^\s\"',}#]+)[\"']?\s*+(?:[,}#]|$)")
_ORDER = {severity: rank for rank, severity in enumerate(Severity)}


def findings(
    document: Document,
    *,
    before: Document | None,
    people: People | None,
    action_types: Collection[str],
    today: date | None = None,
    text: str = "",
) -> tuple[Finding, ...]:
    """Everything the checks found, errors first.

    `before` is the version in force, None when there is none; without `people` or `today` what
    depends on them is not checked. `text` gives findings about rules their line.
    """
    regions = {rule.id: region_of(rule.when, _parameters(document)) for rule in document.rules}
    found = [
        *_words(document, action_types),
        *_never(document, regions),
        *_without_effect(document, regions),
        *_standing(document, today),
        *_safeguards(document),
        *(out_of_reach(document, people, regions, action_types) if people else ()),
        *(weaker(before, document) if before else ()),
    ]
    placed = (replace(one, line=one.line or _line(text, one.what)) for one in found)
    return tuple(sorted(placed, key=lambda one: _ORDER[one.severity]))


def _parameters(document: Document) -> dict[str, int]:
    return dict(document.parameters)


def _severity(rule: Rule) -> Severity:
    """A rule meant to deny that never does protects nothing, and nobody would notice."""
    return Severity.ERROR if rule.effect == Verdict.DENY else Severity.WARNING


def _words(document: Document, action_types: Collection[str]) -> Iterator[Finding]:
    """Texts compared with facts that never have them."""
    known: dict[str, Collection[str]] = {**VOCABULARY}
    if action_types:
        known["action.type"] = action_types
    parts = [(f"rule {rule.id}", rule.when, _severity(rule)) for rule in document.rules]
    parts += [
        (f'tier rule "{rule.reason}"', rule.when, Severity.WARNING) for rule in document.tiers
    ]
    for what, clauses, severity in parts:
        for clause in clauses:
            for fact, words in known.items():
                for word in literals_of(clause, fact, document.parameters):
                    if word not in words and word:
                        yield _unknown(what, fact, word, words, severity)
    for override in document.matrix.overrides:
        pattern = override.action_type
        if action_types and not any(patterns.applies(pattern, key) for key in action_types):
            what = cell_name(override.tier, pattern)
            yield _unknown(what, "action.type", pattern, action_types, Severity.WARNING)


def _unknown(
    what: str, fact: str, word: str, words: Collection[str], severity: Severity
) -> Finding:
    hint = suggestion(word, sorted(words))
    if fact == "action.type":
        sentence = f"there is no action type '{word}'.{hint}"
        return Finding(severity, "unknown_action_type", what, sentence)
    hint = hint or f" Known: {', '.join(sorted(filter(None, words)))}."
    return Finding(severity, "unknown_word", what, f"{fact} is never '{word}'.{hint}")


def _never(document: Document, regions: Mapping[str, Region]) -> Iterator[Finding]:
    """Rules whose clauses contradict each other."""
    for rule in document.rules:
        fact = regions[rule.id].contradiction
        if fact:
            sentence = f"it can never match: its clauses contradict each other about {fact}."
            yield Finding(_severity(rule), "never_matches", f"rule {rule.id}", sentence)


def _without_effect(document: Document, regions: Mapping[str, Region]) -> Iterator[Finding]:
    """Rules that always come with a stricter one, which then decides."""
    live = [rule for rule in document.rules if not regions[rule.id].contradiction]
    for rule in live:
        stricter = next(
            (
                other
                for other in live
                if _STRICTNESS[other.effect] > _STRICTNESS[rule.effect]
                and _decides_alone(other, rule)
                and regions[rule.id].is_within(regions[other.id])
            ),
            None,
        )
        if stricter is not None:
            sentence = (
                f"it has no effect: whenever it matches, {stricter.id} matches too and "
                f"says {stricter.effect.replace('_', ' ')}."
            )
            yield Finding(Severity.WARNING, "without_effect", f"rule {rule.id}", sentence)


def _decides_alone(stricter: Rule, rule: Rule) -> bool:
    """Whether nothing of the rule is left once the stricter one matches too."""
    if stricter.effect == Verdict.DENY:
        return True
    named = rule.standing.instead_of if rule.standing else ()
    return rule.tier <= stricter.tier and not rule.categories and stricter.id not in named


def _standing(document: Document, today: date | None) -> Iterator[Finding]:
    """Approvals given in advance: until when, and instead of what."""
    ids = {rule.id for rule in document.rules}
    for rule in document.rules:
        standing = rule.standing
        if standing is None:
            continue
        what = f"rule {rule.id}"
        for name in standing.instead_of:
            if name not in ids:
                hint = suggestion(name, sorted(ids))
                sentence = f"it stands in for '{name}', which is no rule.{hint}"
                yield Finding(Severity.ERROR, "standing_for_nothing", what, sentence)
        if today is None:
            continue
        until = date.fromisoformat(standing.until)
        last_day = date_format(until)
        if until < today:
            sentence = f"its standing approval ended on {last_day}; remove or renew it."
            yield Finding(Severity.WARNING, "standing_expired", what, sentence)
        elif until - today > LONGEST_STANDING:
            sentence = (
                f"its standing approval runs until {last_day}, longer than a year; shorten it."
            )
            yield Finding(Severity.ERROR, "standing_too_long", what, sentence)
        elif until - today <= EXPIRES_SOON:
            sentence = f"its standing approval ends soon, on {last_day}."
            yield Finding(Severity.NOTE, "standing_ends_soon", what, sentence)


def _safeguards(document: Document) -> Iterator[Finding]:
    """What a tier asks for whoever decides, and a document says it does without."""
    entries = [(tier, patterns.EVERY) for tier in range(len(document.matrix.tiers))]
    entries += [(one.tier, one.action_type) for one in document.matrix.overrides]
    for tier, action_type in entries:
        key = action_type.removesuffix("*")
        for name in document.matrix.unguarded(tier, key):
            what = cell_name(tier, action_type)
            sentence = f"{name} is off, and tier {tier} has it all the same; write {name}: true."
            yield Finding(Severity.ERROR, "below_the_floor", what, sentence)


def _line(text: str, what: str) -> int:
    """Where the document says `id: the-rule`; 0 when that is not to be found."""
    if not text or not what.startswith("rule "):
        return 0
    rule = what.removeprefix("rule ")
    return next(
        (
            number
            for number, line in enumerate(text.splitlines(), 1)
            if any(found[1] == rule for found in _ID.finditer(line))
        ),
        0,
    )


def failed_tests(document: Document) -> tuple[str, ...]:
    """One sentence per test of the document whose answer is another; empty when all pass."""
    return tuple(
        f"Test '{test.name}': {difference}"
        for test, differences in tested(document)
        for difference in differences
    )


def tested(document: Document) -> tuple[tuple[Expectation, tuple[str, ...]], ...]:
    """Every test of the document, with how its answer differs; nothing when it passes."""
    return tuple(
        (test, tuple(_differences(test, evaluate(document, test.facts, version="test"))))
        for test in document.tests
    )


def _differences(test: Expectation, found: Evaluation) -> list[str]:
    result = []
    if found.verdict != test.verdict:
        result.append(f"expected {test.verdict}, got {found.verdict}.")
    if test.tier is not None and found.tier != test.tier:
        result.append(f"expected tier {test.tier}, got {found.tier}.")
    groups = tuple(sorted(spec.group for spec in found.requirements))
    if test.groups is not None and groups != test.groups:
        result.append(f"expected {_named(test.groups)}, got {_named(groups)}.")
    return result


def _named(groups: tuple[str, ...]) -> str:
    return " and ".join(groups) or "nobody"
