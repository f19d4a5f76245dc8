"""What rules may ask and say, for whoever writes them: read from what the engine itself uses."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import get_type_hints

from policies.checks.wording import shown
from policies.document import Document
from policies.facts import Declaration, Facts, declared
from policies.matrix import OperatingModel, Pattern
from policies.models.replays import Direction
from policies.roles import ROLES
from policies.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Word:
    """One thing to write, and what it means."""

    name: str
    meaning: str
    kind: str = ""
    default: str = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Words that belong together."""

    title: str
    about: str
    words: tuple[Word, ...]
    inserts: bool = True  # a click puts the word into the editor


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Everything, in the order a rule is written."""

    facts: tuple[Shelf, ...]
    others: tuple[Shelf, ...]


_EFFECTS = {
    Verdict.ALLOW: "It runs without a person.",
    Verdict.REQUIRE_APPROVAL: "The people named by the rule or the matrix must say yes.",
    Verdict.DENY: "It never runs.",
}
_MODELS = {
    OperatingModel.ASSISTED: "The agent prepares, a person acts.",
    OperatingModel.IN_THE_LOOP: "People approve before it happens.",
    OperatingModel.ON_THE_LOOP: "The agent acts within limits, people watch exceptions.",
    OperatingModel.CONTROLLED_AUTONOMY: "The agent acts inside strict permissions.",
}
_PATTERNS = {
    Pattern.NO_APPROVAL: "Nobody is asked; everything is logged.",
    Pattern.SAMPLED: "A share is looked at.",
    Pattern.EXCEPTION_ONLY: "It runs unless something is unusual.",
    Pattern.THRESHOLD: "Above an amount people decide.",
    Pattern.SINGLE: "One person decides.",
    Pattern.TWO_PEOPLE: "Two people decide.",
    Pattern.TWO_GROUPS: "One person of each of two groups decides.",
    Pattern.ORDERED_STAGES: "One group after the other decides.",
    Pattern.HUMAN_SUPERVISED: "A person starts it and watches.",
}


def vocabulary(document: Document | None) -> Vocabulary:
    """The words of this release, and those the document itself defines."""
    return Vocabulary(
        facts=_facts(),
        others=(
            *(_own(document) if document else ()),
            Shelf(
                "Effects",
                "What a rule says when all its clauses hold. The strictest of all rules wins.",
                tuple(Word(verdict.value, _EFFECTS[verdict]) for verdict in Verdict),
            ),
            Shelf(
                "Groups",
                "Who can be asked. Whoever configures or audits never decides.",
                tuple(Word(role.name, role.description) for role in ROLES if role.decides),
            ),
            Shelf(
                "Operating models",
                "How much the agent does by itself.",
                tuple(Word(model.value, _MODELS[model]) for model in OperatingModel),
            ),
            Shelf(
                "Patterns",
                "The shape of the approval, for people to recognise.",
                tuple(Word(pattern.value, _PATTERNS[pattern]) for pattern in Pattern),
            ),
            Shelf(
                "What a replay says",
                "How a draft's answer differs from the one a request got.",
                tuple(
                    Word(str(direction.label), direction.value)
                    for direction in Direction
                    if direction is not Direction.SAME
                ),
                inserts=False,
            ),
        ),
    )


def _own(document: Document) -> tuple[Shelf, ...]:
    """Parameters, categories and windows: each document brings its own."""
    shelves = (
        Shelf(
            "Parameters",
            "Numbers the document names once; clauses and tests take them from there.",
            tuple(Word(f"param.{name}", f"{value:,}") for name, value in document.parameters),
        ),
        Shelf(
            "Categories",
            "Kinds of exceptions a rule may put a request in.",
            tuple(
                Word(one.name, f"{one.meaning} Answered for by {one.owner}.")
                for one in document.categories.values()
            ),
        ),
        Shelf(
            "Windows",
            "When execution may begin.",
            tuple(Word(name, shown(window)) for name, window in document.windows.items()),
        ),
    )
    return tuple(shelf for shelf in shelves if shelf.words)


def _facts() -> tuple[Shelf, ...]:
    docs = get_type_hints(Facts)
    known = declared().values()
    return tuple(
        Shelf(
            group.name.capitalize(),
            _about(docs[group.name]),
            tuple(_word(fact) for fact in known if fact.name.startswith(f"{group.name}.")),
        )
        for group in fields(Facts)
    )


def _about(kind: type) -> str:
    """What the group's own docstring says; Python writes one for dataclasses without."""
    text = (kind.__doc__ or "").strip()
    return "" if text.startswith(f"{kind.__name__}(") else " ".join(text.split())


def _word(fact: Declaration) -> Word:
    default = '""' if fact.default == "" else shown(fact.default)
    if fact.default == ():
        default = "[]"
    elif isinstance(fact.default, bool):
        default = "true" if fact.default else "false"
    return Word(fact.name, fact.meaning, fact.type_name, default)
