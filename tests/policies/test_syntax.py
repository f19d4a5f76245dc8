"""A clause's syntax tree is CEL's own, and can be written out again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.lib.cel_tree import Tree
from policies.cel.compiler import Activation, ClauseError, compile_clause
from tests.policies.make import make_facts

PARAMETERS = (("most", 5), ("least", -5))


def tree_of(clause: str) -> Tree:
    return compile_clause(clause, PARAMETERS).tree


@pytest.mark.parametrize(
    ("clause", "spelled"),
    [
        ("action.amount>1&&customer.known // why", "action.amount > 1 && customer.known"),
        ("!(customer.known && true)", "!(customer.known && true)"),
        ("1 - (2 - 3) * 4 > -action.amount", "1 - (2 - 3) * 4 > -action.amount"),
        ("action.amount < param.most", "action.amount < 5"),
        ("action.amount > param.least", "action.amount > -5"),
        ("(evidence.flags).all ( f ,f!='bidi')", 'evidence.flags.all(f, f != "bidi")'),
        ("evidence.flags[0] == r'\\d'", 'evidence.flags[0] == "\\\\d"'),
        ("size(evidence.flags) == evidence.flags.size()",) * 2,
        ("has({'a': [1.0, 2e3]}.a)", 'has({"a": [1.0, 2000.0]}.a)'),
        ("action.type in ['x', \"y\"]", 'action.type in ["x", "y"]'),
    ],
)
def test_a_tree_is_written_as_one_text_however_it_was_spelled(clause: str, spelled: str) -> None:
    tree = tree_of(clause)

    assert tree.spelled(tree.root) == spelled


def test_constants_without_a_literal_of_ours_are_written_too() -> None:
    tree = tree_of("b'x' == b'y' || 1u == 2u || null == null")

    assert "uint64_value: 2" in tree.spelled(tree.root)


atoms = st.sampled_from(["customer.known", "agent.over_ceiling", "action.amount > 1", "true"])
clauses = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} || {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"{two[0]} && {two[1]}"),
        st.tuples(inner, inner).map(lambda two: f"(({two[0]}) == ({two[1]}))"),
        st.tuples(inner, inner, inner).map(lambda three: "({} ? {} : {})".format(*three)),
        inner.map(lambda one: f"!({one})"),
    ),
    max_leaves=6,
)


@given(clauses, st.booleans(), st.booleans(), st.integers(0, 2))
def test_what_is_written_out_means_the_same_and_stays_the_same(
    clause: str, known: bool, over: bool, amount: int
) -> None:
    facts = Activation.of(
        make_facts(customer__known=known, agent__over_ceiling=over, action__amount=amount)
    )
    tree = tree_of(clause)
    spelled = tree.spelled(tree.root)
    again = tree_of(spelled)
    asked, again_asked = (compile_clause(text).ask(facts) for text in (clause, spelled))

    assert again_asked.outcome == asked.outcome
    assert again.spelled(again.root) == spelled


@pytest.mark.parametrize("clause", ["(" * 40 + "true" + ")" * 40, "true" + " == true" * 40])
def test_what_nests_too_deeply_is_refused_before_its_tree_is_read(clause: str) -> None:
    """Messages nest a hundred deep at most, and CEL allows far less than that."""
    with pytest.raises(ClauseError, match="recursion"):
        compile_clause(clause)
