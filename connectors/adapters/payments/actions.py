"""What can be proposed to the payments system."""

from __future__ import annotations

from datetime import timedelta

from audit.lib.canonical import JsonObject
from audit.lib.money import Money, MoneyError, exponent
from connectors.catalogue import ActionType, AtMostOnce, Proof, Reversibility, Verb, quoted, text
from connectors.params import AMOUNT, CURRENCY, identifier, one_line, params_object

# How many decimals the provider's integers have (docs.stripe.com/currencies); all others have 2.
# Where that differs from the currency's own decimals an amount would be off by a factor of 10 or
# 100, so such currencies are refused rather than converted. UGX and ISK are among them: the
# provider takes them with two decimals although they have none.
_NO_DECIMALS = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905 - a list of codes reads better as words
)
_THREE_DECIMALS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


def money_of(params: JsonObject) -> Money:
    """The amount of the params; raises MoneyError when it is not money of its currency."""
    return Money.parse(params.get("amount"), text(params, "currency"))


def _money_errors(params: JsonObject) -> dict[str, str]:
    currency = text(params, "currency")
    try:
        decimals = exponent(currency)
    except MoneyError as error:
        return {"currency": str(error)}
    if decimals != _provider_decimals(currency):
        return {"currency": f"The payments system does not take amounts in {currency}."}
    try:
        money = money_of(params)
    except MoneyError as error:
        return {"amount": str(error)}
    if money.minor == 0:
        return {"amount": "Must be more than zero."}
    if currency in _THREE_DECIMALS and money.minor % 10:
        return {"amount": f"The payments system takes {currency} amounts ending in 0 only."}
    return {}


def _provider_decimals(currency: str) -> int:
    if currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else 2


def _iban_errors(params: JsonObject) -> dict[str, str]:
    """ISO 13616: the country and the check digits moved to the end, the rest is 1 modulo 97."""
    iban = text(params, "iban")
    digits = "".join(str(int(character, 36)) for character in iban[4:] + iban[:4])
    return {} if int(digits) % 97 == 1 else {"iban": "Its check digits are wrong; look it up."}


def _refund_effect(params: JsonObject) -> str:
    return (
        f"Refund {money_of(params)} to the customer of charge {text(params, 'charge')} "
        f"(reason: {quoted(text(params, 'reason'))})."
    )


def _vendor_effect(params: JsonObject) -> str:
    order = text(params, "purchase_order")
    return (
        f"Pay {money_of(params)} to vendor {text(params, 'vendor')} "
        f"for invoice {text(params, 'invoice')} "
        f"({f'purchase order {order}' if order else 'no purchase order'})."
    )


def _reverse_effect(params: JsonObject) -> str:
    return f"Take back {money_of(params)} of vendor payment {text(params, 'transfer')}."


_REFERENCE = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,58}[A-Za-z0-9])?"

_AT_MOST_ONCE = AtMostOnce(Proof.KEYED, window=timedelta(hours=24), can_look_up=True)

REFUND_ISSUE = ActionType(
    key="refund.issue",
    version=1,
    title="Refund a charge",
    verb=Verb.PAY,
    system="payments",
    reversibility=Reversibility.IRREVERSIBLE,
    schema=params_object(
        {
            "charge": identifier("ch_[A-Za-z0-9]{1,64}", 'A charge id such as "ch_1001".'),
            "amount": AMOUNT,
            "currency": CURRENCY,
            "reason": one_line("Why the customer gets money back, in one line.", longest=300),
        }
    ),
    example={"charge": "ch_1002", "amount": "20.00", "currency": "EUR", "reason": "damaged"},
    target=lambda params: f"charge {text(params, 'charge')}",
    effect=_refund_effect,
    undo="Cannot be undone: the payments system never takes back a refund that went through.",
    at_most_once=_AT_MOST_ONCE,
    amount=money_of,
    left_in="refundable",
    counterparty=lambda params: f"customer of {text(params, 'charge')}",
    protected=frozenset({"charge", "currency"}),
    data_classes=frozenset({"money"}),
    field_errors=_money_errors,
)

VENDOR_PAY = ActionType(
    key="vendor.pay",
    version=1,
    title="Pay a vendor",
    verb=Verb.PAY,
    system="payments",
    reversibility=Reversibility.EXTERNALLY_REVERSIBLE,
    schema=params_object(
        {
            "vendor": identifier("acct_[A-Za-z0-9]{1,64}", 'A vendor id such as "acct_5001".'),
            "amount": AMOUNT,
            "currency": CURRENCY,
            "invoice": identifier(_REFERENCE, 'An invoice number such as "INV-2040".', longest=60),
        },
        {
            "purchase_order": identifier(
                _REFERENCE, 'A purchase order number such as "PO-7001".', longest=60
            ),
        },
    ),
    example={
        "vendor": "acct_5001",
        "amount": "420.00",
        "currency": "EUR",
        "invoice": "INV-2040",
        "purchase_order": "PO-1001",
    },
    target=lambda params: f"invoice {text(params, 'invoice')}",
    effect=_vendor_effect,
    undo="The payment can be reversed while the vendor's balance covers it (vendor.reverse).",
    at_most_once=_AT_MOST_ONCE,
    amount=money_of,
    counterparty=lambda params: text(params, "vendor"),
    protected=frozenset({"vendor", "currency"}),
    data_classes=frozenset({"money"}),
    undo_type="vendor.reverse",
    offers={
        "type": "object",
        "properties": {
            "invoice_paid": {"type": "boolean"},
            "order_known": {"type": "boolean"},
            "order_vendor_matches": {"type": "boolean"},
            "order_total_matches": {"type": "boolean"},
            "order_open_quantity": {"type": "integer"},
            "bank_account_since": {"type": "string"},
        },
        "required": [
            "invoice_paid",
            "order_known",
            "order_vendor_matches",
            "order_total_matches",
            "order_open_quantity",
            "bank_account_since",
        ],
        "additionalProperties": False,
    },
    field_errors=_money_errors,
)

VENDOR_BANK_ACCOUNT = ActionType(
    key="vendor.bank_account",
    version=1,
    title="Change a vendor's bank account",
    verb=Verb.UPDATE,
    system="payments",
    reversibility=Reversibility.IRREVERSIBLE,
    schema=params_object(
        {
            "vendor": identifier("acct_[A-Za-z0-9]{1,64}", 'A vendor id such as "acct_5001".'),
            "iban": identifier(
                "[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}",
                'An IBAN without spaces, such as "DE89370400440532013000".',
                longest=34,
            ),
            "holder": one_line("Whose account it is, as the bank has it.", longest=140),
        }
    ),
    example={
        "vendor": "acct_5001",
        "iban": "DE89370400440532013000",
        "holder": "Nord Supplies GmbH",
    },
    target=lambda params: f"bank account of {text(params, 'vendor')}",
    effect=lambda params: (
        f"Change the bank account of vendor {text(params, 'vendor')} to {text(params, 'iban')}, "
        f"in the name of {quoted(text(params, 'holder'))}."
    ),
    undo="Cannot be undone: the earlier account would have to be named and entered again.",
    at_most_once=_AT_MOST_ONCE,
    counterparty=lambda params: text(params, "vendor"),
    protected=frozenset({"vendor", "iban", "holder"}),
    data_classes=frozenset({"money", "personal"}),
    shown={
        "type": "object",
        "properties": {"last4": {"type": "string"}, "holder": {"type": "string"}},
        "required": ["holder", "last4"],
        "additionalProperties": False,
    },
    offers={
        "type": "object",
        "properties": {
            "holder_matches": {"type": "boolean"},
            "country_matches": {"type": "boolean"},
        },
        "required": ["country_matches", "holder_matches"],
        "additionalProperties": False,
    },
    field_errors=_iban_errors,
)

VENDOR_REVERSE = ActionType(
    key="vendor.reverse",
    version=1,
    title="Reverse a vendor payment",
    verb=Verb.PAY,
    system="payments",
    reversibility=Reversibility.IRREVERSIBLE,
    schema=params_object(
        {
            "transfer": identifier("tr_[A-Za-z0-9]{1,64}", 'A transfer id such as "tr_1a2b".'),
            "amount": AMOUNT,
            "currency": CURRENCY,
        }
    ),
    example={"transfer": "tr_1a2b", "amount": "420.00", "currency": "EUR"},
    target=lambda params: f"transfer {text(params, 'transfer')}",
    effect=_reverse_effect,
    undo="Cannot be undone: the vendor would have to be paid again.",
    at_most_once=_AT_MOST_ONCE,
    amount=money_of,
    counterparty=lambda params: f"vendor of {text(params, 'transfer')}",
    protected=frozenset({"transfer", "currency"}),
    data_classes=frozenset({"money"}),
    field_errors=_money_errors,
)

ACTION_TYPES = (REFUND_ISSUE, VENDOR_PAY, VENDOR_BANK_ACCOUNT, VENDOR_REVERSE)
