"""Numbers of a document that are money are typed and read as money."""

from __future__ import annotations

import pytest

from policies.admin.parameter_form import parameter_fields, with_typed
from policies.exceptions import PolicyError
from policies.parsing.parser import parse_document
from policies.services.versions import DEFAULT_DOCUMENT
from policies.static_analysis.amounts import money_parameters
from policies.static_analysis.compare import compare

DEFAULT = DEFAULT_DOCUMENT.read_text(encoding="utf-8")


def test_what_is_compared_with_an_amount_is_money_and_nothing_else() -> None:
    money = money_parameters(parse_document(DEFAULT))

    assert {"refund_automatic", "refund_manager", "refund_customer_month"} <= money
    assert "refund_unseen_day" in money
    assert "shipment_late" not in money


def test_a_comparison_speaks_of_money() -> None:
    before = parse_document(DEFAULT)
    text = DEFAULT.replace("refund_automatic: 25000", "refund_automatic: 40000")
    after = parse_document(text.replace("shipment_late: 24", "shipment_late: 48"))

    sentences = [change.sentence for change in compare(before, after)]

    assert "Parameter refund_automatic is 400.00 EUR instead of 250.00 EUR." in sentences
    assert "Parameter shipment_late is 48 instead of 24." in sentences


def test_fields_have_money_as_money_with_the_documents_own_comment() -> None:
    fields = {field.name: field for field in parameter_fields(DEFAULT)}

    automatic, late = fields["refund_automatic"], fields["shipment_late"]
    assert (automatic.value, automatic.unit) == ("250.00", "EUR")
    assert automatic.about == "up to this a clean refund runs by itself"
    assert (late.value, late.unit) == ("24", "")
    assert parameter_fields("no: policy") == ()


@pytest.mark.parametrize("typed", ["400", "400.00", "400,00", " 400.00 EUR "])
def test_typed_money_changes_one_number_of_the_text_and_keeps_the_rest(typed: str) -> None:
    posted = {"parameter-refund_automatic": typed, "parameter-was-refund_automatic": "250.00"}

    text = with_typed(DEFAULT, posted)

    expected = DEFAULT.replace("refund_automatic: 25000 #", "refund_automatic: 40000 #", 1)
    assert text == expected


def test_what_was_not_changed_in_the_form_leaves_what_was_typed_in_the_document() -> None:
    text = DEFAULT.replace("refund_automatic: 25000", "refund_automatic: 30000")
    posted = {"parameter-refund_automatic": "250.00", "parameter-was-refund_automatic": "250.00"}

    assert with_typed(text, posted) == text


@pytest.mark.parametrize(
    "villain", ["", "much", "-5", "1e9", "12.34.56", "250.00\nrefund_never: 1"]
)
def test_what_is_no_amount_is_refused_in_words(villain: str) -> None:
    posted = {"parameter-refund_automatic": villain, "parameter-was-refund_automatic": "250.00"}

    with pytest.raises(PolicyError, match=r"Refund automatic: write an amount such as 250\.00"):
        with_typed(DEFAULT, posted)
