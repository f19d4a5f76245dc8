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

from audit.lib.spelling import suggestion
from policies import patterns
from policies.cel.analysis import literals_of, region_of, scope_of
from policies.cel.intervals import Region
from policies.document import Document, Expectation, Rule
from policies.evaluate import evaluate
from policies.facts import SOURCE_CLASSES, WEEKDAYS
from policies.static_analysis.case import Schemas, about_the_case
from policies.static_analysis.claims import lowered_by_claims
from policies.static_analysis.findings import Finding, Severity
from policies.static_analysis.reach import People, out_of_reach
from policies.static_analysis.weaker import weaker
from policies.static_analysis.wording import cell_name
from policies.team_names import LOOKED_UP
from policies.verdicts import Evaluation, Verdict

VOCABULARY: Mapping[str, tuple[str, ...]] = {
    "action.verb": ("read", "draft", "send", "update", "delete", "pay", "grant", "execute"),
    "action.reversibility": (
        "read-only",
        "reversible",
        "externally reversible",
        "irreversible",
    ),
    "time.weekday": WEEKDAYS,
    "evidence.lowest_authority": ("", "official", "internal", "external", "unknown"),
    "session.sources": SOURCE_CLASSES,
    "session.worst_source": SOURCE_CLASSES,
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
_WORD = re.compile(r"[\w-]++")
_ORDER = {severity: rank for rank, severity in enumerate(Severity)}


def findings(
    document: Document,
    *,
    before: Document | None,
    people: People | None,
    action_types: Collection[str],
    schemas: Schemas | None = None,
    teams: Collection[str] | None = None,
    today: date | None = None,
    text: str = "",
    floor: Document | None = None,
) -> tuple[Finding, ...]:
    """Everything the checks found, errors first.

    `before` is the version in force, None when there is none; without `people`, `schemas`, `teams`
    or `today` what depends on them is not checked. `text` gives findings about rules their line,
    and `floor` is what the version is evaluated with.
    """
    regions = {rule.id: region_of(rule.when, _parameters(document)) for rule in document.rules}
    found = [
        *_words(document, action_types),
        *about_the_case(document, schemas or {}),
        *lowered_by_claims(document),
        *(_unknown_teams(document, teams, text) if teams else ()),
        *_without_rule(document, schemas or {}),
        *_never(document, regions),
        *_without_effect(document, regions),
        *(_shadowed(document, floor, regions) if floor else ()),
        *_standing(document, regions, today),
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


def _without_rule(document: Document, action_types: Collection[str]) -> Iterator[Finding]:
    """Action types no rule names: only what is asked of every action may match there."""
    named = {
        name
        for rule in document.rules
        for clause in rule.when
        for name in literals_of(clause, "action.type", document.parameters)
    }
    families = {family for rule in document.rules for family in rule.on}
    for key in sorted(set(action_types) - named):
        if not any(patterns.applies(family, key) for family in families):
            sentence = "no rule names it; where no other rule matches, people decide at tier 5."
            yield Finding(Severity.NOTE, "no_rule", f"action type {key}", sentence)


def _unknown(
    what: str, fact: str, word: str, words: Collection[str], severity: Severity
) -> Finding:
    hint = suggestion(word, sorted(words))
    if fact == "action.type":
        sentence = f"there is no action type '{word}'.{hint}"
        return Finding(severity, "unknown_action_type", what, sentence)
    hint = hint or f" Known: {', '.join(sorted(filter(None, words)))}."
    return Finding(severity, "unknown_word", what, f"{fact} is never '{word}'.{hint}")


def _unknown_teams(document: Document, teams: Collection[str], text: str) -> Iterator[Finding]:
    """Teams that are asked, asked instead, left out or escalated to, and that nobody has made."""
    cells = [
        (cell_name(tier), cell.requirements) for tier, cell in enumerate(document.matrix.tiers)
    ]
    cells += [
        (cell_name(one.tier, one.action_type), one.requirements or ())
        for one in document.matrix.overrides
    ]
    cells += [(f"rule {rule.id}", (*rule.requirements, *rule.adds)) for rule in document.rules]
    known = sorted({*teams, *LOOKED_UP, ""})
    for what, specs in cells:
        named = [name for s in specs for name in (*s.groups, *s.excludes, s.escalates_to)]
        for name in dict.fromkeys(named):
            if name not in known:
                hint = suggestion(name, known) or f" There are {', '.join(sorted(teams))}."
                sentence = f"there is no team '{name}'.{hint}"
                line = _line_with(text, name)
                yield Finding(Severity.ERROR, "unknown_team", what, sentence, line=line)


def _line_with(text: str, name: str) -> int:
    """The first line that says the name as a word of its own; 0 when none does."""
    numbered = enumerate(text.splitlines(), 1)
    return next((n for n, line in numbered if name in _WORD.findall(line)), 0)


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


def _shadowed(
    document: Document, floor: Document, regions: Mapping[str, Region]
) -> Iterator[Finding]:
    """Rules that always come with a stricter one of the floor, which then decides."""
    below = [(rule, region_of(rule.when, {})) for rule in floor.rules]
    for rule in document.rules:
        if regions[rule.id].contradiction:
            continue
        for other, region in below:
            is_stricter = _STRICTNESS[other.effect] > _STRICTNESS[rule.effect]
            if is_stricter and regions[rule.id].is_within(region):
                sentence = (
                    f"the floor shadows it: whenever it matches, the floor's rule {other.id} "
                    f"matches too and says {other.effect.replace('_', ' ')}."
                )
                yield Finding(Severity.WARNING, "shadowed_by_floor", f"rule {rule.id}", sentence)
                break


def _decides_alone(stricter: Rule, rule: Rule) -> bool:
    """Whether nothing of the rule is left once the stricter one matches too."""
    if stricter.effect == Verdict.DENY:
        return True
    named = rule.standing.instead_of if rule.standing else ()
    return rule.tier <= stricter.tier and not rule.categories and stricter.id not in named


def _standing(
    document: Document, regions: Mapping[str, Region], today: date | None
) -> Iterator[Finding]:
    """Approvals given in advance: until when, how much together, and instead of what."""
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
        if not _has_total(document, rule, regions[rule.id]):
            sentence = (
                "its standing approval has no total; add a clause about all it may be used for, "
                "such as velocity.customer_sum_30d <= 100000."
            )
            yield Finding(Severity.ERROR, "standing_without_total", what, sentence)
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


def _has_total(document: Document, rule: Rule, region: Region) -> bool:
    """Whether it ends when a sum or a number of requests is reached.

    One per target is none where each request has another: ten invoices would be ten totals.
    """
    about = {scope_of(clause, document.parameters) for clause in rule.when}
    return any(
        name.startswith("velocity.")
        and (not name.startswith("velocity.target_") or "action.target" in about)
        and ("_sum_" in name or "_count_" in name)
        and span.high is not None
        for name, span in region.spans.items()
    )


def _safeguards(document: Document) -> Iterator[Finding]:
    """What a tier asks for whoever decides, and a document says it does without."""
    if document.is_floor:
        return  # it has no matrix of its own
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
