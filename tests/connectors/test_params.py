"""Params that must not pass, and what is said about them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from jsonschema_rs import ValidationError

from audit.lib.money import Money
from connectors.params import FieldError, validate_params
from connectors.registry import action_type
from connectors.sandbox.server import Sandbox
from tests.connectors.make import (
    CONFIG,
    CRM,
    EMAIL,
    EXAMPLES,
    GRANT,
    ORDER,
    PAYMENT,
    REFUND,
    REROUTE,
    ROBOT,
    Example,
    params_of,
    without,
)


def errors_of(example: Example, params: Any) -> dict[str, str]:
    return {
        error.path: error.message for error in validate_params(action_type(example.key), params)
    }


@pytest.mark.parametrize(
    "amount",
    [
        "NaN", "nan", "Infinity", "-Infinity", "inf", "1e3", "1E3", "0x10", "1_000.00", "1,000.00",
        "+1.00", "-1.00", " 1.00", "1.00 ", "1.00\n", "\n1.00", "1.0", "1.000", "1", "1.", ".50",
        "01.00", "00.10", "", "0.00", "١.٠٠", "1．00", "1.00\u0000", "1\u200b.00", "9" * 30 + ".00",
        "1.00 EUR", "€1.00", 180, 180.0, True, None, ["1.00"], {"value": "1.00"},
    ],
)  # fmt: skip
def test_what_is_not_an_amount_of_euros_is_refused(amount: object) -> None:
    errors = errors_of(REFUND, params_of(REFUND, amount=amount))

    assert list(errors) == ["params.amount"]


@pytest.mark.parametrize("amount", ["0.01", "1.00", "180.00", "1000000.00"])
def test_an_amount_of_euros_passes(amount: str) -> None:
    assert errors_of(REFUND, params_of(REFUND, amount=amount)) == {}


@pytest.mark.parametrize(
    ("amount", "currency", "passes"),
    [
        ("500", "JPY", True),
        ("500.00", "JPY", False),
        ("5.000", "BHD", True),
        ("5.000", "KWD", True),
        ("5.005", "KWD", False),  # the provider takes no last digit but 0
        ("5.00", "KWD", False),
        ("5.00", "USD", True),
    ],
)
def test_decimals_are_those_of_the_currency(amount: str, currency: str, passes: bool) -> None:
    errors = errors_of(REFUND, params_of(REFUND, amount=amount, currency=currency))

    assert (errors == {}) is passes
    assert passes or list(errors) == ["params.amount"]


@pytest.mark.parametrize(
    "currency",
    ["eur", "EU", "EURO", "XXQ", "EUR\n", "", "€", "ΕUR", "ISK", "UGX", 978, None],
)
def test_an_unknown_or_unsupported_currency_is_refused(currency: object) -> None:
    errors = errors_of(REFUND, params_of(REFUND, currency=currency))

    assert list(errors) == ["params.currency"]


@pytest.mark.parametrize(
    ("example", "name", "value"),
    [
        (REFUND, "charge", "ch_1001\n"),
        (REFUND, "charge", "ch_1001/../../refunds"),
        (REFUND, "charge", "../v1/refunds"),
        (REFUND, "charge", "ch_1001?expand=customer"),
        (REFUND, "charge", "ch_1001%2f"),
        (REFUND, "charge", "ch_１００１"),
        (REFUND, "charge", "сh_1001"),
        (REFUND, "charge", "ch_" + "1" * 200),
        (REFUND, "reason", "line one\nline two"),
        (REFUND, "reason", "x" * 301),
        (REFUND, "reason", ""),
        (PAYMENT, "vendor", "acct_5001 "),
        (PAYMENT, "invoice", "INV-2040\r\nX: y"),
        (PAYMENT, "purchase_order", ""),
        (EMAIL, "to", "a@mail.example\nBcc: all@mail.example"),
        (EMAIL, "to", "a@mail.example\n"),
        (EMAIL, "to", "a@mail.example, b@mail.example"),
        (EMAIL, "to", "Ada <a@mail.example>"),
        (EMAIL, "to", '"a b"@mail.example'),
        (EMAIL, "to", "a@[127.0.0.1]"),
        (EMAIL, "to", "a@localhost"),
        (EMAIL, "to", "a..b@mail.example"),
        (EMAIL, "to", ".a@mail.example"),
        (EMAIL, "to", "a@-mail.example"),
        (EMAIL, "to", "a@mail.example\u2028b"),
        (EMAIL, "to", "аda@mail.example"),
        (EMAIL, "to", "x" * 65 + "@mail.example"),
        (EMAIL, "to", ["a@mail.example"]),
        (EMAIL, "subject", "Hello\r\nBcc: all@mail.example"),
        (EMAIL, "subject", "Hello\u0000"),
        (EMAIL, "subject", "Hello\u2028again"),
        (EMAIL, "subject", ""),
        (EMAIL, "body", "bell\u0007"),
        (EMAIL, "body", "x" * 20_001),
        (CRM, "record", "acct_2001' OR '1'='1"),
        (CRM, "record", "accounts.id"),
        (CRM, "fields", {}),
        (CRM, "fields", ["stage"]),
        (ORDER, "order", "ord_3001;--"),
        (GRANT, "user", "../Groups/crm-editors"),
        (GRANT, "user", 'mia" or "1" eq "1'),
        (GRANT, "user", ".."),
        (GRANT, "group", "a/b"),
        (GRANT, "group", "crm-editors\n"),
        (GRANT, "until", "2026-02-30"),
        (GRANT, "until", "31.12.2026"),
        (GRANT, "until", "2026-12-31T00:00:00Z"),
        (CONFIG, "service", "checkout/../search"),
        (CONFIG, "service", "."),
        (CONFIG, "key", "max_items#"),
        (CONFIG, "value", "\u001b[31m"),
        (REROUTE, "depot", "BER-1/x"),
        (REROUTE, "shipment", "shp_"),
        (ROBOT, "task", "self_destruct"),
        (ROBOT, "zone", "AA"),
    ],
)
def test_a_bad_value_is_refused_at_its_own_path(example: Example, name: str, value: object) -> None:
    errors = errors_of(example, params_of(example, **{name: value}))

    assert list(errors) == [f"params.{name}"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"stage": "wonderful"}, "params.fields.stage"),
        ({"email": "a@mail.example"}, "params.fields.email"),
        ({"id": "acct_1"}, "params.fields.id"),
        ({"refunds_90d": 0}, "params.fields.refunds_90d"),
        ({"owner": "mia; DROP TABLE accounts"}, "params.fields.owner"),
        ({"notes": 7}, "params.fields.notes"),
    ],
)
def test_only_allowed_columns_take_only_allowed_values(fields: object, path: str) -> None:
    assert list(errors_of(CRM, params_of(CRM, fields=fields))) == [path]


def test_all_errors_come_at_once_each_with_its_path_and_fix() -> None:
    found = validate_params(
        action_type("refund.issue"),
        {"charge": 7, "amount": "1e3", "approved": True, "reason": "ok"},
    )

    assert {error.path for error in found} == {
        "params.charge",
        "params.amount",
        "params.approved",
        "params.currency",
    }
    by_path = {error.path: error.message for error in found}
    assert 'such as "ch_1001"' in by_path["params.charge"]
    assert by_path["params.approved"].startswith("Not a known field; known are: amount,")
    assert by_path["params.currency"].startswith("Required.")


def test_money_and_meaning_are_checked_beside_what_has_a_wrong_shape() -> None:
    wrong = {"charge": 7, "amount": "1.5", "currency": "EUR", "approved": True}

    messages = errors_of(REFUND, wrong)

    assert set(messages) == {"params.approved", "params.charge", "params.reason", "params.amount"}
    assert "exactly 2 decimals" in messages["params.amount"]
    assert list(errors_of(GRANT, {"user": "..", "group": "g", "until": "2026-02-30"})) == [
        "params.user",
        "params.until",
    ]


@pytest.mark.parametrize(
    ("params", "paths"),
    [
        ({"amount": "1.5"}, ["params.currency"]),  # decimals of which currency?
        ({"amount": "1.5", "currency": 978}, ["params.currency"]),
        ({"amount": 15, "currency": "EUR"}, ["params.amount"]),
        ({"currency": "EUR"}, ["params.amount"]),
        ({"amount": "x", "currency": "ISK"}, ["params.amount", "params.currency"]),
        ({"amount": "1.5", "currency": "ISK"}, ["params.currency"]),
    ],
)
def test_what_depends_on_a_wrong_param_is_not_judged(params: Any, paths: list[str]) -> None:
    found = validate_params(
        action_type("refund.issue"), {"charge": "ch_1001", "reason": "ok", **params}
    )

    assert sorted(error.path for error in found) == paths


def test_an_amount_is_checked_although_another_param_means_nothing() -> None:
    kind = replace(
        action_type("refund.issue"), field_errors=lambda params: {"reason": "No reason at all."}
    )

    found = validate_params(kind, params_of(REFUND, amount="1.5"))

    assert [error.path for error in found] == ["params.reason", "params.amount"]


def test_nothing_more_is_said_of_params_that_are_wrong_together() -> None:
    kind = action_type("refund.issue")
    kind = replace(kind, schema={**kind.schema, "maxProperties": 1})

    found = validate_params(kind, params_of(REFUND, amount="1.5"))

    assert [error.path for error in found] == ["params"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.key)
@pytest.mark.parametrize("value", [None, "", "\n", 7, [], {}, {"x": []}, "x" * 30_000])
def test_any_wrong_param_of_any_type_is_told_once_and_nothing_fails(
    example: Example, value: object
) -> None:
    kind = action_type(example.key)
    properties = kind.schema["properties"]
    assert isinstance(properties, dict)
    for name in properties:
        for params in ({**example.params, name: value}, {name: value}):
            found = validate_params(kind, params)
            assert len(found) == len(set(found))


@pytest.mark.parametrize("params", [None, [], "x", 3, True])
def test_params_that_are_no_object_are_refused(params: object) -> None:
    assert list(errors_of(REFUND, params)) == ["params"]


@pytest.mark.parametrize("name", ["charge", "amount", "currency", "reason"])
def test_a_missing_param_is_named(name: str) -> None:
    assert list(errors_of(REFUND, without(REFUND, name).params)) == [f"params.{name}"]


def test_ten_thousand_unknown_keys_do_not_make_ten_thousand_errors() -> None:
    params = params_of(REFUND, **{f"key{number}": 1 for number in range(10_000)})

    assert len(validate_params(action_type("refund.issue"), params)) == 25


def test_an_unknown_key_is_named_in_ascii() -> None:
    (error,) = validate_params(action_type("refund.issue"), params_of(REFUND, **{"a\u202eb": 1}))

    assert error == FieldError("params.a\\u202eb", error.message)


def test_a_schema_never_fetches_another_document(sandbox: Sandbox) -> None:
    reachable = f"{sandbox.addresses['payments']}/_health"  # would do as a schema
    kind = replace(action_type("refund.issue"), schema={"$ref": reachable})

    with pytest.raises(ValidationError, match="do not refer to other documents"):
        validate_params(kind, REFUND.params)


def test_amounts_are_derived_from_params() -> None:
    assert action_type("refund.issue").amount(REFUND.params) == Money(18_000, "EUR")
    assert action_type("vendor.pay").amount(PAYMENT.params) == Money(125_000, "EUR")
    assert action_type("email.send").amount(EMAIL.params) is None


def test_the_sentence_comes_from_params_and_free_text_cannot_pose_as_ours() -> None:
    kind = action_type("refund.issue")

    assert kind.effect(REFUND.params) == (
        'Refund 180.00 EUR to the customer of charge ch_1001 (reason: "damaged").'
    )
    sly = params_of(REFUND, reason='ok"). Approved by the CFO (reason: "fine \u202e')
    assert kind.effect(sly) == (
        "Refund 180.00 EUR to the customer of charge ch_1001 "
        "(reason: \"ok'). Approved by the CFO (reason: 'fine <U+202E>\")."
    )


def test_every_sentence_reads_as_written() -> None:
    def effect(example: Example, **changes: Any) -> str:
        return action_type(example.key).effect(params_of(example, **changes))

    assert effect(PAYMENT) == (
        "Pay 1,250.00 EUR to vendor acct_5001 for invoice INV-2040 (purchase order PO-7001)."
    )
    assert action_type("vendor.pay").effect(without(PAYMENT, "purchase_order").params) == (
        "Pay 1,250.00 EUR to vendor acct_5001 for invoice INV-2040 (no purchase order)."
    )
    assert effect(EMAIL) == (
        'Send an e-mail to customer1002@mail.example with the subject "Your lamp, Zoë".'
    )
    assert effect(CRM, fields={"stage": "won", "notes": "a\nb"}) == (
        'In account acct_2001, set notes to "a b", stage to "won".'
    )
    assert effect(GRANT) == ("Give mia.keller the rights of group crm-editors until 2026-12-31.")
    assert effect(CONFIG) == 'Set max_items of service checkout in production to "60".'
    assert effect(ROBOT) == "Let robot-1 run the task pick in zone A."
