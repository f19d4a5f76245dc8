"""To which bank account a vendor is paid: one new account per key, the earlier one kept."""

from __future__ import annotations

from audit.lib.canonical import digest_of
from connectors.adapters.payments.client import KEY_FIELD, BankAccount, PaymentsClient
from connectors.adapters.payments.transfers import shown_bank_account
from connectors.base import Action, Preview, ReadBack, Receipt, SystemEvidence, cannot_undo, compare
from connectors.catalogue import text


class BankAccounts:
    def __init__(self, client: PaymentsClient) -> None:
        self._client = client

    def preview(self, action: Action) -> Preview:
        vendor = self._client.vendor(text(action.params, "vendor"))
        now, iban = vendor.bank_account, text(action.params, "iban")
        holder = text(action.params, "holder")
        return Preview(
            before={"last4": now.last4 if now else "", "holder": now.holder if now else ""},
            after={"last4": iban[-4:], "holder": holder},
            target_version=digest_of({"account": now.id if now else "", "name": vendor.name}),
            evidence=(
                SystemEvidence(
                    "vendor_record",
                    f"Vendor {vendor.id}",
                    {
                        "name": vendor.name,
                        "country": vendor.country,
                        **vendor.metadata,
                        **shown_bank_account(now),
                    },
                ),
            ),
            offered={
                "holder_matches": holder.casefold() == vendor.name.casefold(),
                "country_matches": iban[:2] == vendor.country,
            },
        )

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        vendor = self._client.vendor(text(action.params, "vendor"))
        made = self._client.create_bank_account(
            vendor, text(action.params, "iban"), text(action.params, "holder"), key
        )
        return _receipt(vendor.id, made)

    def look_up(self, action: Action, key: str) -> Receipt | None:
        vendor = self._client.vendor(text(action.params, "vendor"))
        for account in vendor.bank_accounts:
            if account.metadata.get(KEY_FIELD) == key:
                return _receipt(vendor.id, account)
        return None

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        vendor = self._client.vendor(text(action.params, "vendor"))
        paid = vendor.bank_account
        observed = {
            "account": paid.id if paid else "",
            "last4": paid.last4 if paid else "",
            "holder": paid.holder if paid else "",
        }
        expected = {
            "account": receipt.reference,
            "last4": text(action.params, "iban")[-4:],
            "holder": text(action.params, "holder"),
        }
        return ReadBack(observed, compare(expected, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        raise cannot_undo(
            "The payments system does not tell earlier account numbers; ask the vendor for theirs."
        )


def _receipt(vendor: str, made: BankAccount) -> Receipt:
    return Receipt(
        made.id,
        f"Vendor {vendor} is paid to account {made.id}.",
        {"vendor": vendor, "last4": made.last4},
    )
