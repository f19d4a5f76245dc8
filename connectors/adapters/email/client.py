"""SMTP (RFC 5321) with a total deadline, and the mail archive's search over HTTP."""

from __future__ import annotations

import hashlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from audit.lib.canonical import JsonValue
from connectors import http
from connectors.base import ConnectorError, OutcomeUnknown

SMTP_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
"""The schemes an address may have, and where each is served when it names no port."""


@dataclass(frozen=True, slots=True)
class ArchivedMail:
    """A mail as the archive has it; line ends are newlines."""

    id: str
    message_id: str
    recipients: tuple[str, ...]
    subject: str
    body: str


def message_id_for(key: str, sender: str) -> str:
    """The Message-ID of whatever is sent under that key: the same every time, so searchable."""
    token = hashlib.sha256(key.encode()).hexdigest()[:40]
    return f"<{token}@{sender.rpartition('@')[2]}>"


def plain_body(body: str) -> str:
    """The body as mail keeps it: newlines, and no blank lines at the end."""
    return body.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


_CALLED = {"MAIL": "the sender", "RCPT": "the recipient", "DATA": "the message"}
"""Commands of SMTP (RFC 5321), as people call what they are about."""


class SmtpClient:
    """Hands one message to the mail server. `smtps://` is TLS from the start, `smtp+starttls://`
    upgrades; user and password may stand in the address."""

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        self._scheme = parts.scheme
        self._host = parts.hostname or "localhost"
        self._port = parts.port or SMTP_PORTS.get(parts.scheme, 25)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self.sender = sender

    def greet(self) -> None:
        """Begin a session and end it; raises ConnectorError when the server takes none."""
        with self._connected():
            pass

    def send(self, to: str, subject: str, body: str, key: str) -> str:
        """Send one mail and return its Message-ID.

        Not idempotent: SMTP has no keys. Raises ConnectorError while nothing can have been
        accepted, and OutcomeUnknown from the moment the message is on the wire.
        """
        message_id = message_id_for(key, self.sender)
        content = self._message(to, subject, body, message_id).as_bytes(policy=SMTP)
        with self._connected() as smtp:
            self._check("MAIL", *smtp.mail(self.sender))
            self._check("RCPT", *smtp.rcpt(to))
            self._deliver(smtp, content)
        return message_id

    def _message(self, to: str, subject: str, body: str, message_id: str) -> EmailMessage:
        # EmailMessage refuses line breaks in headers; the schema has refused them before.
        message = EmailMessage(policy=SMTP)
        try:
            message["From"] = self.sender
            message["To"] = to
            message["Subject"] = subject
            message["Message-ID"] = message_id
            message["Date"] = format_datetime(datetime.now(UTC))
            message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation replies to us
            message.set_content(plain_body(body), cte="quoted-printable")
        except ValueError as error:
            raise ConnectorError(
                "The message cannot be written as mail.", permanent=True, code="bad_message"
            ) from error
        return message

    def _deliver(self, smtp: smtplib.SMTP, content: bytes) -> None:
        try:
            code, reply = smtp.data(content)
        except smtplib.SMTPDataError as error:  # refused before any of the message was sent
            self._refuse("DATA", error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            raise OutcomeUnknown(
                f"The mail was handed over and the server did not say whether it took it "
                f"({type(error).__name__})."
            ) from error
        if 200 <= code < 300:
            return
        if 400 <= code < 600:
            self._refuse("DATA", code, reply)
        raise OutcomeUnknown("The mail server said nothing clear about the message.")

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """A session that is cut off when the call's total time is over."""
        seconds = http.timeout_seconds()
        smtp = self._session(seconds)
        expired = threading.Event()
        cut = threading.Timer(seconds, _hang_up, [smtp, expired])
        cut.daemon = True
        cut.start()
        try:
            self._greet(smtp, expired)
            yield smtp
        except (OSError, smtplib.SMTPException) as error:
            self._not_reached(error)
        finally:
            cut.cancel()
            smtp.close()  # without QUIT: the outcome is known by now, and QUIT may hang

    def _session(self, seconds: float) -> smtplib.SMTP:
        name = self.sender.rpartition("@")[2]
        smtp: smtplib.SMTP
        if self._scheme == "smtps":
            smtp = smtplib.SMTP_SSL(
                local_hostname=name, timeout=seconds, context=ssl.create_default_context()
            )
        else:
            smtp = smtplib.SMTP(local_hostname=name, timeout=seconds)
        # Where smtplib keeps the name that TLS certificates are checked against; it is set only
        # by connecting in the constructor, too early for the deadline to see the socket.
        smtp._host = self._host  # type: ignore[attr-defined]
        return smtp

    def _greet(self, smtp: smtplib.SMTP, expired: threading.Event) -> None:
        code, reply = smtp.connect(self._host, self._port)
        if expired.is_set():
            raise TimeoutError("The call's total time is used up.")
        self._check("the connection", code, reply)
        smtp.ehlo_or_helo_if_needed()
        if self._scheme == "smtp+starttls":
            smtp.starttls(context=ssl.create_default_context())
        if self._user:
            smtp.login(self._user, self._password)

    def _check(self, command: str, code: int, reply: bytes) -> None:
        if not 200 <= code < 300:
            self._refuse(command, code, reply)

    def _refuse(self, command: str, code: int, reply: bytes | str) -> NoReturn:
        said = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
        verb = "refused" if code >= 500 else "does not take now"
        what = _CALLED.get(command, command)
        raise ConnectorError(
            f"The mail server {verb} {what}: {http.redact(said, self._password)}",
            permanent=code >= 500,
            code=f"smtp_{code}",
        )

    def _not_reached(self, error: Exception) -> NoReturn:
        raise ConnectorError(
            f"The mail server could not be used ({type(error).__name__}); nothing was sent.",
            permanent=isinstance(error, smtplib.SMTPAuthenticationError),
            code="not_sent",
        ) from error


_ARCHIVE = "mail archive"


class ArchiveClient:
    """Finds mails the company really sent."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def find(self, message_id: str) -> list[ArchivedMail]:
        """Every archived mail of that Message-ID. Raises ConnectorError."""
        with http.reading(_ARCHIVE), http.open_client() as client:
            response = client.get(f"{self._url}/messages", params={"message_id": message_id})
            if response.status_code != 200:
                http.refuse_read(_ARCHIVE, response.status_code, response.reason_phrase)
            answer = http.json_object(response)
            try:
                return [_archived(item) for item in _list(answer["messages"])]
            except (KeyError, TypeError) as error:
                raise http.UnreadableAnswer("The archive's answer lists no messages.") from error


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _archived(item: JsonValue) -> ArchivedMail:
    if not isinstance(item, dict):
        raise TypeError("a message is not an object")
    return ArchivedMail(
        id=str(item["id"]),
        message_id=str(item["message_id"]),
        recipients=tuple(str(address) for address in _list(item["recipients"])),
        subject=str(item["subject"]),
        body=plain_body(str(item["body"])),
    )


def _hang_up(smtp: smtplib.SMTP, expired: threading.Event) -> None:
    """Wake whoever waits on the session's socket; they see it end."""
    expired.set()
    connection: socket.socket | None = smtp.sock
    if connection is not None:
        with suppress(OSError):  # it ended by itself meanwhile
            connection.shutdown(socket.SHUT_RDWR)
