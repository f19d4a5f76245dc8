"""The journal mailbox of a mail server, read over IMAP (RFC 3501): what was really sent.

It is only ever examined: no mail is marked as read, moved or deleted.
"""

from __future__ import annotations

import imaplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses
from typing import Any
from urllib.parse import unquote, urlsplit

from connectors import http
from connectors.adapters.email.client import ArchivedMail, plain_body
from connectors.base import ConnectorError

IMAP_PORTS = {"imap": 143, "imaps": 993}
"""The schemes an address may have, and where each is served when it names no port."""


class ImapArchive:
    """Finds mails by their Message-ID. `imaps://user:password@host/Journal`: the path is the
    mailbox, INBOX when there is none."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._is_encrypted = parts.scheme == "imaps"
        self._host = parts.hostname or "localhost"
        self._port = parts.port or IMAP_PORTS.get(parts.scheme, 143)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._mailbox = unquote(parts.path.strip("/")) or "INBOX"

    def find(self, message_id: str) -> list[ArchivedMail]:
        """Every mail of that Message-ID in the mailbox. Raises ConnectorError."""
        with self._examined() as imap:
            # the server looks for it anywhere in the header; which are equal is seen below
            found = _ok(imap.uid("SEARCH", "HEADER", "Message-ID", f'"{message_id}"'))
            uids = (found[0] or b"").split()
            mails = [_mail(uid.decode(), imap) for uid in uids]
        return [mail for mail in mails if mail.message_id == message_id]

    def greet(self) -> None:
        """Sign in and open the mailbox; raises ConnectorError when that cannot be done."""
        with self._examined():
            pass

    @contextmanager
    def _examined(self) -> Iterator[imaplib.IMAP4]:
        """A session that is cut off when the call's total time is over."""
        seconds = http.timeout_seconds()
        line = _Line()
        cut = threading.Timer(seconds, line.hang_up)
        cut.daemon = True
        cut.start()
        imap: imaplib.IMAP4 | None = None
        try:
            imap = _Session(self._host, self._port, seconds, line, is_encrypted=self._is_encrypted)
            imap.login(self._user, self._password)
            _ok(imap.select(_quoted(self._mailbox), readonly=True))
            yield imap
        except (OSError, imaplib.IMAP4.error) as error:
            # the words may hold what we signed in with
            raise ConnectorError(
                f"The mail archive could not be read ({type(error).__name__}).",
                permanent=False,
                code="unreadable",
            ) from None
        finally:
            cut.cancel()
            if imap is not None:
                with suppress(OSError):  # without LOGOUT: the outcome is known, and it may hang
                    imap.shutdown()
            line.close()


class _Line:
    """The socket of one session, for whoever ends it."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._expired = threading.Event()

    def keep(self, connection: socket.socket) -> None:
        self._socket = connection
        if self._expired.is_set():
            raise TimeoutError("The call's total time is used up.")

    def hang_up(self) -> None:
        self._expired.set()
        if self._socket is not None:
            with suppress(OSError):  # it ended by itself meanwhile
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class _Session(imaplib.IMAP4):
    """imaplib's client, whose socket is known before the first byte is read."""

    def __init__(
        self, host: str, port: int, seconds: float, line: _Line, *, is_encrypted: bool
    ) -> None:
        self._line = line
        self._is_encrypted = is_encrypted
        super().__init__(host, port, timeout=seconds)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        connection = socket.create_connection((self.host, self.port), timeout=timeout)
        self._line.keep(connection)
        if self._is_encrypted:
            context = ssl.create_default_context()
            wrapped = context.wrap_socket(
                connection, server_hostname=self.host, do_handshake_on_connect=False
            )
            self._line.keep(wrapped)
            wrapped.do_handshake()
            return wrapped
        return connection


def _ok(answer: tuple[str, list[Any]]) -> list[Any]:
    said, found = answer
    if said != "OK":
        raise imaplib.IMAP4.error("The server refused.")
    return found


def _mail(uid: str, imap: imaplib.IMAP4) -> ArchivedMail:
    (part, *_) = _ok(imap.uid("FETCH", uid, "(BODY.PEEK[])"))
    if not isinstance(part, tuple):
        raise imaplib.IMAP4.error("The mail is gone.")
    message = message_from_bytes(part[1], policy=default)
    body = message.get_body(("plain",)) if isinstance(message, EmailMessage) else None
    return ArchivedMail(
        id=uid,
        message_id=str(message["Message-ID"] or "").strip(),
        recipients=tuple(address for _, address in getaddresses([str(message["To"] or "")])),
        subject=str(message["Subject"] or ""),
        body=plain_body(body.get_content()) if body else "",
    )


def _quoted(mailbox: str) -> str:
    return '"' + mailbox.replace("\\", "\\\\").replace('"', '\\"') + '"'
