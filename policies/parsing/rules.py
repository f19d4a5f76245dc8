"""Rules as a document writes them: their clauses, their people, and what they stand in for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import date

from audit.lib.money import Money, MoneyError
from audit.lib.spelling import suggestion
from audit.lib.yaml_reader import Reader
from policies import patterns
from policies.cel.analysis import scope_of
from policies.cel.compiler import ClauseError, Parameters, compile_clause
from policies.document import Rule, Standing
from policies.parsing.matrix import read_requirements, read_tier, refuse_twice
from policies.verdicts import Verdict

_NO_CLAUSES = 'needs at least one clause; write - "true" for a rule about everything.'
_PLACE = re.compile(r"\{([^{}]*)\}")
_DATE = re.compile(r"\A\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_WHOM = ("action.counterparty", "action.target", "customer.id", "agent.name")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a document's rules may refer to by name."""

    parameters: Parameters
    categories: tuple[str, ...]

    def reason(self, reader: Reader) -> str:
        """A sentence; `{limit}` in it is the parameter, `{limit EUR}` an amount in minor units."""
        return _PLACE.sub(lambda found: self._filled(found[1], reader), reader.text())

    def number(self, name: str, reader: Reader) -> int:
        """The parameter; a problem and 0 when there is none of that name."""
        known = dict(self.parameters)
        if name not in known:
            hint = suggestion(name, list(known)) or " Add it to parameters."
            reader.problem(f"'{name}' is not a parameter of this document.{hint}")
        return known.get(name, 0)

    def _filled(self, text: str, reader: Reader) -> str:
        name, _, currency = text.partition(" ")
        number = self.number(name, reader)
        if not currency:
            return str(number)
        try:
            return str(Money(number, currency))
        except MoneyError as error:
            reader.problem(str(error))
            return text


def read_name(reader: Reader) -> str:
    return reader.text(at_most=60)


def read_verdict(reader: Reader) -> Verdict:
    return Verdict(reader.one_of(Verdict, what="a verdict") or Verdict.DENY)


def read_clauses(reader: Reader, words: Vocabulary, *, with_case: bool = False) -> tuple[str, ...]:
    return reader.each(
        lambda item: _clause(item, words.parameters, with_case=with_case),
        at_most=50,
        empty=_NO_CLAUSES,
    )


def _clause(reader: Reader, parameters: Parameters, *, with_case: bool) -> str:
    """A CEL clause, compiled to find its mistakes now."""
    text = reader.text(at_most=10_000)
    try:
        if text:
            compile_clause(text, parameters, with_case=with_case)
    except ClauseError as error:
        reader.problem_inside(str(error), line=error.line, column=error.column)
    return text


def read_pattern(reader: Reader) -> str:
    text = reader.text()
    if text and not patterns.is_pattern(text):
        reader.problem("must be an action type (refund.issue) or a family (refund.*).")
    return text


@dataclass(slots=True)
class RuleReading:
    """Rules refer to one another, so they are checked together once all are read."""

    words: Vocabulary
    of_floor: bool = False
    _instead_of: list[tuple[Reader, str]] = field(default_factory=list)

    def rules(self, reader: Reader) -> tuple[Rule, ...]:
        found = reader.each(self._rule, at_most=500, empty="needs a rule.")
        refuse_twice((rule.id for rule in found), reader, "rule id")
        asking = [rule.id for rule in found if rule.effect == Verdict.REQUIRE_APPROVAL]
        for item, id in self._instead_of:
            if id and id not in asking:
                hint = suggestion(id, asking) or " Name rules that say require_approval."
                item.problem(f"'{id}' is not a rule that requires approval.{hint}")
        return found

    def _rule(self, reader: Reader) -> Rule:
        keys = reader.fields(
            required=("id", "owner", "reason", "when", "effect"),
            optional=("on", "tier", "requirements", "adds", "categories", "standing"),
        )
        on = keys.read("on", _read_scope, ())
        rule = Rule(
            id=keys.read("id", read_name, ""),
            owner=keys.read("owner", read_name, ""),
            reason=keys.read("reason", self.words.reason, ""),
            on=on,
            when=keys.read(
                "when", lambda item: read_clauses(item, self.words, with_case=bool(on)), ()
            ),
            effect=keys.read("effect", read_verdict, Verdict.DENY),
            tier=keys.read("tier", read_tier, 0),
            requirements=keys.read("requirements", read_requirements, ()),
            adds=keys.read("adds", read_requirements, ()),
            categories=keys.read("categories", lambda item: item.each(self._category), ()),
            standing=keys.read("standing", self._standing, None),
        )
        if rule.effect != Verdict.REQUIRE_APPROVAL and (rule.requirements or rule.adds):
            reader.problem(f"a rule that says {rule.effect} asks nobody; remove its requirements.")
        if self.of_floor:
            _refuse_looser(rule, reader)
        if on:
            rule = replace(rule, when=(_about(on), *rule.when))
        if rule.standing is None:
            return rule
        if rule.effect != Verdict.ALLOW:
            keys["standing"].problem(f"a standing approval allows; this rule says {rule.effect}.")
        self._check_scope(rule, keys["standing"])
        return _until(rule, rule.standing)

    def _category(self, reader: Reader) -> str:
        return reader.one_of(self.words.categories, what="a category of this document")

    def _standing(self, reader: Reader) -> Standing:
        keys = reader.fields(required=("until", "instead_of"))
        covered = keys.read(
            "instead_of", lambda item: item.each(self._covered, empty="needs a rule's id."), ()
        )
        return Standing(keys.read("until", _day, ""), covered)

    def _covered(self, reader: Reader) -> str:
        id = read_name(reader)
        self._instead_of.append((reader, id))
        return id

    def _check_scope(self, rule: Rule, reader: Reader) -> None:
        """An approval in advance is for one kind of action and for somebody in particular."""
        named = {scope_of(clause, self.words.parameters) for clause in rule.when}
        if "action.type" not in named:
            reader.problem('needs a scope: add the clause action.type == "..." to when.')
        if not named & {*_WHOM}:
            reader.problem(
                'needs a scope: add a clause such as action.counterparty == "..." to when, on one '
                f"of {', '.join(_WHOM)}."
            )


def _refuse_looser(rule: Rule, reader: Reader) -> None:
    """What would take from the policy a floor is evaluated with."""
    if rule.effect == Verdict.ALLOW:
        reader.problem("a floor allows nothing; say require_approval or deny.")
    if rule.requirements:
        reader.problem("a floor replaces nobody the policy asks; write adds for requirements.")


def _read_scope(reader: Reader) -> tuple[str, ...]:
    return reader.each(read_pattern, empty="needs an action type; leave it out for all.")


def _about(on: tuple[str, ...]) -> str:
    """The types as a clause, in front of the rule's own: what is said about clauses knows of it."""
    families = sorted(pattern for pattern in on if pattern.endswith("*"))
    keys = ", ".join(json.dumps(key) for key in sorted({*on} - {*families}))
    named = [f"action.type in [{keys}]"] if keys else []
    named += [f"action.type.startsWith({json.dumps(family[:-1])})" for family in families]
    return " || ".join(named)


def _until(rule: Rule, standing: Standing) -> Rule:
    """The rule with its last day as one more clause: the trace says why it no longer matches."""
    last_day = f'time.today != "" && time.today <= "{standing.until}"'
    return replace(rule, when=(*rule.when, last_day))


def _day(reader: Reader) -> str:
    text = reader.text()
    try:
        if _DATE.match(text):
            return date.fromisoformat(text).isoformat()
    except ValueError:  # the 31st of November
        pass
    reader.problem(f"'{text}' is not a date; write 2027-03-31.")
    return "0000-00-00"
