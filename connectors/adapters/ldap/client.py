"""One LDAP session per call: bound, over TLS, ended in time, and no request is ever repeated.

Referrals are not followed: another server is not the one that was approved.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from connectors import http
from connectors.adapters.ldap import messages
from connectors.adapters.ldap.messages import Answer, Change, Entry, NotLdap, Result
from connectors.base import ConnectorError, OutcomeUnknown

LDAP_PORTS = {"ldap": 389, "ldaps": 636, "ldap+starttls": 389}
"""The schemes an address may have, and where each is served when it names no port."""

_LARGEST_ANSWER = 4 * 1024 * 1024  # bytes of one request's answer
_SAID = {
    Result.REFERRAL: "It points to another server, and referrals are not followed.",
    Result.UNAVAILABLE_CRITICAL_EXTENSION: (
        "It cannot compare the version in the same operation (RFC 4528), and without that nothing "
        "is changed."
    ),
    Result.NO_SUCH_OBJECT: "There is no such entry any more.",
    Result.INVALID_CREDENTIALS: "It does not know the credential of this connection.",
    Result.INSUFFICIENT_ACCESS: "The account of this connection may not do that there.",
    Result.BUSY: "It is busy.",
    Result.UNAVAILABLE: "It is shutting down or starting.",
}


class LdapClient:
    """A directory and the account we sign in with.

    `ldaps://` is TLS from the start, `ldap+starttls://` upgrades before anything is said, and
    `ldap://` is for this machine. The bind DN and its password stand in the address.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._scheme = parts.scheme
        self._host = parts.hostname or "localhost"
        self._port = parts.port or LDAP_PORTS.get(parts.scheme, 389)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A bound session that is cut off when the call's total time is over.

        Raises ConnectorError for whatever happens before a change is on the wire.
        """
        seconds = http.timeout_seconds()
        session = Session(time.monotonic() + seconds, self._password)
        cut = threading.Timer(seconds, session.hang_up)
        cut.daemon = True
        cut.start()
        try:
            session.connect(self._host, self._port, self._scheme)
            session.bind(self._user, self._password)
            yield session
        except (OSError, NotLdap) as error:
            raise ConnectorError(
                f"The directory could not be used ({type(error).__name__}); nothing was changed.",
                permanent=False,
                code="not_sent",
            ) from error
        finally:
            cut.cancel()
            session.close()


class Session:
    """What one call asks. Reads raise OSError, NotLdap and ConnectorError, `modify` as it says."""

    def __init__(self, ends_at: float, password: str) -> None:
        self._ends_at = ends_at  # on the monotonic clock
        self._password = password
        self._socket: socket.socket | None = None
        self._expired = threading.Event()
        self._reader = messages.Reader()
        self._number = 0

    def connect(self, host: str, port: int, scheme: str) -> None:
        self._keep(socket.create_connection((host, port), timeout=self._left()))
        if scheme == "ldap+starttls":
            answer = self._ask(messages.start_tls(self._next()))
            self._must_succeed(answer)
        if scheme != "ldap":
            self._encrypt(host)

    def bind(self, name: str, password: str) -> None:
        if name:
            self._must_succeed(self._ask(messages.bind(self._next(), name, password)))

    def find(self, base: str, attribute: str, value: str, wanted: Sequence[str]) -> Entry:
        """The one entry below `base` of that name. Raises ConnectorError for none or several."""
        answer = self._ask(messages.search(self._next(), base, attribute, value, wanted))
        if len(answer.entries) > 1:
            raise ConnectorError(
                f"Several entries have the {attribute} {value} below {base}.",
                permanent=True,
                code="ambiguous",
            )
        if answer.result == Result.NO_SUCH_OBJECT or (
            answer.result == Result.SUCCESS and not answer.entries
        ):
            raise ConnectorError(
                f"The directory has no {attribute} {value} below {base}.",
                permanent=True,
                code="not_found",
            )
        self._must_succeed(answer)
        return answer.entries[0]

    def has_value(self, dn: str, attribute: str, value: str) -> bool:
        """Whether the entry's attribute has that value, by the directory's own comparison."""
        answer = self._ask(messages.compare(self._next(), dn, attribute, value))
        no = {Result.COMPARE_FALSE, Result.NO_SUCH_ATTRIBUTE}
        if answer.result not in {Result.COMPARE_TRUE, *no}:
            self.refuse(answer)
        return answer.result == Result.COMPARE_TRUE

    def modify(self, change: Change) -> Answer:
        """Make one change and say what came of it, refusals that mean something among them.

        Raises OutcomeUnknown from the moment it is on the wire until an answer to it is read; a
        directory applies a change as a whole or not at all (RFC 4511, section 4.6).
        """
        request = messages.modify(self._next(), change)
        try:
            answer = self._ask(request)
        except (OSError, NotLdap) as error:
            raise OutcomeUnknown(
                "The change went out to the directory and no trustworthy answer came back "
                f"({type(error).__name__})."
            ) from error
        if answer.result == Result.OTHER:
            raise OutcomeUnknown("The directory did not say what became of the change.")
        return answer

    def hang_up(self) -> None:
        """Wake whoever waits on the socket; they see it end."""
        self._expired.set()
        connection = self._socket
        if connection is not None:
            with suppress(OSError):  # it ended by itself meanwhile
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _keep(self, connection: socket.socket) -> None:
        self._socket = connection
        if self._expired.is_set():  # it had ended before there was a socket to end
            raise TimeoutError("The call's total time is used up.")

    def _encrypt(self, host: str) -> None:
        if self._socket is None:
            raise ConnectionError("There is no connection to encrypt.")
        # The handshake comes apart, so that the deadline finds the socket while it goes on.
        context = ssl.create_default_context()
        wrapped = context.wrap_socket(
            self._socket, server_hostname=host, do_handshake_on_connect=False
        )
        self._keep(wrapped)
        wrapped.do_handshake()

    def _ask(self, request: bytes) -> Answer:
        connection = self._socket
        if connection is None:
            raise ConnectionError("There is no connection.")
        connection.settimeout(self._left())
        connection.sendall(request)
        entries: list[Entry] = []
        size = 0
        while True:
            while (message := self._reader.next_message()) is not None:
                if int(message["messageID"]) != self._number:
                    raise NotLdap("The answer is to another request.")  # or a notice that it ends
                if entry := messages.entry_of(message):
                    entries.append(entry)
                elif answer := messages.answer_of(message, entries):
                    return answer
            connection.settimeout(self._left())
            data = connection.recv(65_536)
            if not data:
                raise ConnectionError("The directory ended the session.")
            size += len(data)
            if size > _LARGEST_ANSWER:
                raise NotLdap("The answer is larger than a connector accepts.")
            self._reader.feed(data)

    def _left(self) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("The call's total time is used up.")
        return left

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _must_succeed(self, answer: Answer) -> None:
        if answer.result != Result.SUCCESS:
            self.refuse(answer)

    def refuse(self, answer: Answer) -> NoReturn:
        """Raise ConnectorError for what the directory refused, in people's words."""
        known = answer.result in set(Result)
        said = _SAID.get(Result(answer.result)) if known else None
        message = said or http.redact(answer.message, self._password) or "It gave no reason."
        raise ConnectorError(
            f"The directory refused: {message} Nothing was changed.",
            permanent=answer.result not in {Result.BUSY, Result.UNAVAILABLE},
            code=f"ldap_{answer.result}",
        )
