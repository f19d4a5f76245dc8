"""RFC 8785's own vectors, and what has no canonical spelling."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from audit.lib.canonical import canonical, digest, digest_of

NUMBERS = {  # RFC 8785, appendix B: the double's bits and its spelling
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("bits", "spelling"), NUMBERS.items())
def test_numbers_are_spelled_as_the_standard_says(bits: str, spelling: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))

    assert canonical(number) == spelling


def test_the_example_of_the_standard() -> None:
    value = {  # RFC 8785, section 3.2.2
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": '\u20ac$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }

    assert canonical(value) == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_keys_sort_by_utf_16_code_units() -> None:
    # RFC 8785, section 3.2.3: the emoji's surrogates sort before U+FB33.
    in_order = ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]

    text = canonical(dict.fromkeys(reversed(in_order), 0))

    assert list(json.loads(text)) == in_order


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800", {"a": {1, 2}}])
def test_what_json_cannot_carry_is_refused(value: object) -> None:
    with pytest.raises((rfc8785.CanonicalizationError, UnicodeEncodeError)):
        canonical(value)  # type: ignore[arg-type]


def test_a_line_feed_never_survives_as_itself() -> None:
    assert "\n" not in canonical({"text": "two\nlines\u2028"})


def test_a_digest_is_the_sha_256_of_the_canonical_bytes() -> None:
    assert digest_of({"b": 1, "a": "é"}) == hashlib.sha256('{"a":"é","b":1}'.encode()).hexdigest()
    assert digest("") == hashlib.sha256(b"").hexdigest()


class Word(StrEnum):
    ONE = "one \N{EN DASH} two"


class Count(int):
    """An integer that spells itself otherwise."""

    def __repr__(self) -> str:
        return "many"


NUMBERS_OF_ANY_KIND = st.one_of(
    st.integers(-(2**54), 2**54),
    st.floats(),
    st.floats(0.00001, 0.001),
    st.floats(1e14, 1e17),
    st.integers(-3, 3).map(float),
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        NUMBERS_OF_ANY_KIND,
        st.text(),
        st.text(st.characters()),  # lone surrogates too
        st.sampled_from(Word),
        st.integers(0, 9).map(Count),
    ),
    lambda inner: st.one_of(
        st.lists(inner), st.tuples(inner, inner), st.dictionaries(st.text(), inner)
    ),
    max_leaves=12,
)


@given(VALUES)
@example({"\U0001f600": 1, "\ufb33": 2})
@example({"a": -0.0, "b": [-1.0]})
@example({1: "no string"})
def test_the_fast_way_gives_the_bytes_of_the_library_or_what_it_raises(value: object) -> None:
    def answer(encode: Callable[[Any], str]) -> object:
        try:
            return encode(value)
        except rfc8785.CanonicalizationError as refusal:
            return type(refusal)
        except UnicodeEncodeError as refusal:  # of a key
            return type(refusal)

    assert answer(canonical) == answer(lambda one: rfc8785.dumps(one).decode())


@pytest.mark.parametrize(
    "value", [{"b": [1, "\u20ac", None], "a": 0.93}, {"confidence": -1.0}, {"kind": Word.ONE}]
)
def test_what_proposals_are_made_of_goes_the_fast_way(
    value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spelled = rfc8785.dumps(value).decode()
    monkeypatch.delattr(rfc8785, "dumps")

    assert canonical(value) == spelled
