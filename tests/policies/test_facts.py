"""Facts by name: what rules see is what was stored."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.lib.canonical import canonical
from policies.facts import FactError, Facts, declared

VALUES = {
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(0, 1),
    str: st.text(max_size=5),
    tuple: st.lists(st.text(max_size=3), max_size=2),
}


@given(st.fixed_dictionaries({}, optional={n: VALUES[d.kind] for n, d in declared().items()}))
def test_facts_read_back_are_the_facts_written(values: dict[str, object]) -> None:
    facts = Facts.from_flat(values)

    assert Facts.from_flat(facts.flat()) == facts
    assert values.items() <= facts.flat().items()


def test_facts_left_out_keep_their_defaults_and_become_canonical_json() -> None:
    assert Facts.from_flat({}) == Facts()
    assert '"action.reversibility":"irreversible"' in canonical(Facts().flat())


def test_every_fact_is_explained() -> None:
    assert all(fact.meaning.endswith(".") for fact in declared().values())
    assert "action.amount" in declared()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("action.amout", 1),
        ("action", 1),
        ("action.amount", True),
        ("action.amount", 1.0),
        ("action.amount", 2**63),
        ("customer.known", 1),
        ("agent.confidence", math.nan),
        ("agent.confidence", True),
        ("agent.confidence", "0.5"),
        ("evidence.flags", "injection"),
        ("evidence.flags", [1]),
        ("action.type", None),
    ],
)
def test_what_is_no_fact_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(FactError) as refused:
        Facts.from_flat({name: value})

    assert refused.value.name == name
