"""Sends mail at most once: a lost answer is looked up in the archive, never sent again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from audit.lib.canonical import JsonValue, digest_of
from connectors.adapters.email.client import ArchiveClient, SmtpClient, message_id_for, plain_body
from connectors.adapters.email.imap import IMAP_PORTS, ImapArchive
from connectors.base import (
    Action,
    ConnectorError,
    DispatchingConnector,
    Preview,
    ReadBack,
    Receipt,
    SystemEvidence,
    cannot_undo,
    compare,
)
from connectors.catalogue import text


@dataclass(frozen=True, slots=True)
class Recipient:
    """What the system of record knows about whoever the mail goes to."""

    evidence: SystemEvidence
    facts: Mapping[str, JsonValue]


FindRecipient = Callable[[str], Recipient | None]
"""Looks a customer up by e-mail address; raises ConnectorError when it cannot tell."""


def archive_at(url: str) -> ArchiveClient | ImapArchive:
    """Where sent mails are found again: a mailbox over IMAP, or an archive over HTTP."""
    return ImapArchive(url) if url.partition("://")[0] in IMAP_PORTS else ArchiveClient(url)


class EmailConnector(DispatchingConnector):
    """SMTP out, archive in. Repeating a send sends twice; its Message-ID is our mark."""

    system = "email"

    def __init__(
        self, url: str, sender: str, archive_url: str, find_recipient: FindRecipient
    ) -> None:
        smtp, archive = SmtpClient(url, sender), archive_at(archive_url)
        super().__init__({"email.send": _Sending(smtp, archive, find_recipient)})


class _Sending:
    def __init__(
        self, smtp: SmtpClient, archive: ArchiveClient | ImapArchive, find: FindRecipient
    ) -> None:
        self._smtp = smtp
        self._archive = archive
        self._find_recipient = find

    def preview(self, action: Action) -> Preview:
        """There is nothing before a mail; what counts is who gets it."""
        to = text(action.params, "to")
        try:
            recipient = self._find_recipient(to)
        except ConnectorError:
            # The mail itself does not depend on the customer database. The missing record stays
            # visible: policy sees customer.known false and the evidence kind absent.
            recipient = None
        return Preview(
            before={},
            after={
                "to": to,
                "subject": text(action.params, "subject"),
                "body": text(action.params, "body"),
            },
            target_version=digest_of({"to": to}),
            evidence=(recipient.evidence,) if recipient else (),
            facts=recipient.facts if recipient else {"customer.known": False},
        )

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        to = text(action.params, "to")
        message_id = self._smtp.send(
            to, text(action.params, "subject"), text(action.params, "body"), key
        )
        return _receipt(message_id, to)

    def look_up(self, action: Action, key: str) -> Receipt | None:
        message_id = message_id_for(key, self._smtp.sender)
        found = self._archive.find(message_id)
        return _receipt(message_id, text(action.params, "to")) if found else None

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        mails = self._archive.find(receipt.reference)
        if len(mails) != 1:
            return ReadBack(
                {"copies": len(mails)},
                (f"The archive holds {len(mails)} mails of this Message-ID; it should hold one.",),
            )
        (mail,) = mails
        observed = {
            "to": ", ".join(mail.recipients),
            "subject": mail.subject,
            "body": mail.body,
        }
        expected = {
            "to": text(action.params, "to"),
            "subject": text(action.params, "subject"),
            "body": plain_body(text(action.params, "body")),
        }
        return ReadBack(observed, compare(expected, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        raise cannot_undo("A sent e-mail cannot be called back; propose a correction instead.")


def _receipt(message_id: str, to: str) -> Receipt:
    return Receipt(
        message_id,
        f"Mail {message_id} to {to} was accepted.",
        {"to": to, "known_at": datetime.now(UTC).isoformat(timespec="seconds")},
    )
