"""A sent mail is found again in a real mailbox, by the Message-ID it was sent with."""

from __future__ import annotations

import pytest

from connectors.base import Action, Connector, ConnectorError, OutcomeUnknown
from connectors.configuration import look_at
from connectors.registry import action_type, connector_for
from tests.peers.mail import Mail

pytestmark = pytest.mark.django_db

KEY = "5ba7" * 16
ACTION = Action(
    "email.send",
    {
        "to": "ada@mail.example",
        "subject": "Your lamp, Zoë",
        "body": "Dear Zoë,\n\n.a line with a dot\nwe are sorry.\n",
    },
)


def connector() -> Connector:
    return connector_for(action_type(ACTION.type))


def test_a_sent_mail_is_read_back_from_the_mailbox_word_for_word(mail: Mail) -> None:
    assert connector().look_up(ACTION, idempotency_key=KEY) is None

    receipt = connector().execute(ACTION, idempotency_key=KEY)

    assert connector().verify(ACTION, receipt).differences == ()
    found = connector().look_up(ACTION, idempotency_key=KEY)
    assert found is not None
    assert found.reference == receipt.reference
    assert connector().look_up(ACTION, idempotency_key=KEY[::-1]) is None


def test_a_mail_whose_acceptance_was_lost_is_found_and_was_sent_once(mail: Mail) -> None:
    mail.journal.is_silent = True
    key = "c0de" * 16

    with pytest.raises(OutcomeUnknown):
        connector().execute(ACTION, idempotency_key=key)

    mail.journal.is_silent = False
    assert mail.journal.taken == 1
    found = connector().look_up(ACTION, idempotency_key=key)
    assert found is not None
    assert connector().verify(ACTION, found).matches


def test_a_wrong_password_is_a_failed_reading_that_does_not_show_it(mail: Mail) -> None:
    mail.configure(password="wrong-password-9876543210")

    with pytest.raises(ConnectorError) as unread:
        connector().look_up(ACTION, idempotency_key=KEY)

    assert "wrong-password" not in f"{unread.value} {unread.value.__cause__}"


def test_a_probe_signs_in_and_opens_the_mailbox(mail: Mail) -> None:
    values = mail.settings.CONNECTORS["email"]  # type: ignore[union-attr]
    look_at("email", values)

    with pytest.raises(ConnectorError):
        look_at("email", {**values, "archive_url": values["archive_url"] + "-that-is-not-there"})
