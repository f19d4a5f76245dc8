"""What a system's file must keep: its proof on the wire, its names, its ways back."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from audit.lib.cel_tree import Tree
from audit.lib.spelling import suggestion
from audit.lib.yaml_reader import Fields
from connectors.catalogue import Proof, Reversibility
from connectors.declared.expressions import Expression, Template
from connectors.declared.file import Meaning, Operation


def operation(found: Operation, keys: Fields) -> None:
    """Note what contradicts itself in an operation that could be read."""
    if "at_most_once" in keys:
        for problem in _proof_problems(found):
            keys["at_most_once"].problem(problem)
    if "undo" in keys:
        for problem in _undo_problems(found):
            keys["undo"].problem(problem)
    means_already = any(rule.means is Meaning.ALREADY_SO for rule in found.write.answers)
    if means_already and found.type.at_most_once.proof is not Proof.SETTLED:
        keys["write"].problem(
            "an answer means 'already so' where the proof is 'settled' only: elsewhere it may be "
            "the lost call's own effect."
        )


def names_params(keys: Fields, section: str, properties: Collection[str]) -> None:
    """Every name in that list is a param."""
    for item in keys[section].items(at_most=100) if section in keys else ():
        name = item.text()
        if name and name not in properties:
            hint = suggestion(name, list(properties)) or f" Known: {', '.join(properties)}."
            item.problem(f"there is no param '{name}'.{hint}")


def _proof_problems(found: Operation) -> Iterator[str]:
    proof = found.type.at_most_once.proof
    written = frozenset(_names(found))
    if proof is Proof.KEYED and "key" not in written:
        yield "keyed: the write carries no key; put {key} into a header, the path or the body."
    if proof is Proof.NAMED and found.look_up is None:
        yield "named: add 'look_up', which finds the new thing by its name."
    if proof is Proof.MARKED and (found.look_up is None or "key" not in written):
        yield "marked: the write leaves {key} behind, and 'look_up' finds it."
    if proof is Proof.GUARDED:
        if found.read.guard is None or "guard" not in written:
            yield "guarded: 'read.guard' reads the target's version, and the write carries {guard}."
        if found.look_up is not None and "key" not in written:
            yield "guarded: a look-up needs our mark; let the write leave {key} behind."
    elif proof is Proof.SETTLED and found.read.guard is not None:
        if "guard" not in written:
            yield "settled: 'read.guard' reads the target's version; let the write carry {guard}."
    elif "guard" in written and proof not in (Proof.MARKED, Proof.KEYED):
        # the mark tells whose write it was, and the key lets ours through again
        yield f"{proof.value}: the write carries a guard; then the proof is 'guarded'."
    if proof in (Proof.SETTLED, Proof.NONE) and found.look_up is not None:
        yield f"{proof.value}: what can be looked up is keyed, named, guarded or marked."


def _undo_problems(found: Operation) -> Iterator[str]:
    can_undo = any(way.action for way in found.undo)
    if can_undo and found.type.reversibility is Reversibility.IRREVERSIBLE:
        yield "is irreversible, and yet has a way back; change 'reversibility'."
    if not can_undo and found.type.reversibility in (
        Reversibility.REVERSIBLE,
        Reversibility.EXTERNALLY_REVERSIBLE,
    ):
        yield f"is {found.type.reversibility.value}, and no way back is an action."
    if found.undo and found.undo[-1].when is not None:
        yield "what if no way holds? Let the last one have no 'when', such as a 'refuse'."


def _names(found: Operation) -> Iterator[str]:
    write = found.write
    templates: list[Template] = [write.path, *(template for _, template in write.headers)]
    expressions: list[Expression] = [e for template in templates for e in template.expressions]
    if write.body is not None:
        expressions.append(write.body)
    for expression in expressions:
        yield from Tree(expression.program).names()
