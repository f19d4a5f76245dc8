"""Runs the sandbox's systems in threads of this process, on loopback."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from connectors.sandbox.mail import MailArchive, MailServer
from connectors.sandbox.operations import Changes, Directory, Logistics
from connectors.sandbox.payments import Payments
from connectors.sandbox.records import create_records_database, records_effects, refurnish_records
from connectors.sandbox.store import Json, Store
from connectors.sandbox.web import WebSystem

_HOST = "127.0.0.1"
_PAYMENTS_KEY = "sk_test_sandbox"

_TOKEN_SYSTEMS = ("directory", "changes", "logistics")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where each system listens; 0 means any free port."""

    payments: int = 0
    smtp: int = 0
    mail_archive: int = 0
    directory: int = 0
    changes: int = 0
    logistics: int = 0

    @classmethod
    def from_base(cls, base: int) -> Ports:
        """Consecutive ports from `base` in the order above, as the settings' defaults have them."""
        return cls(*(range(base, base + 6) if base else (0,) * 6))


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        if type == "error":
            logging.getLogger("connectors.sandbox").error(message, *args)

    def connection_dropped(
        self, error: BaseException, environ: Mapping[str, Any] | None = None
    ) -> None:
        """Close after a planned reset too: HTTP/1.1 would keep the connection, unanswered."""
        self.close_connection = True


class _WebThread:
    """One HTTP system being served."""

    def __init__(self, system: WebSystem, port: int) -> None:
        self.system = system
        # Bound here: between choosing a free port and listening on it nobody may take it.
        self._socket = socket.create_server((_HOST, port))
        self.url = f"http://{_HOST}:{self._socket.getsockname()[1]}"
        self._server: BaseWSGIServer = make_server(
            _HOST,
            self._socket.getsockname()[1],
            system,
            threaded=True,
            request_handler=_Quiet,
            fd=self._socket.fileno(),
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self.system.hurry.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._socket.close()


class Sandbox:
    """All outside systems; start and stop them with `with`.

    State lives in `data_dir` and survives a restart. `connectors` has the shape of
    `settings.CONNECTORS`; `addresses` maps each system to where it listens (`email` is the mail
    archive, `smtp` the mail server itself).
    """

    def __init__(
        self, data_dir: Path | str, ports: Ports | None = None, records_url: str = ""
    ) -> None:
        self._data_dir = Path(data_dir).resolve()
        self._ports = ports or Ports()
        self._web: list[_WebThread] = []
        self._smtp: MailServer | None = None
        self.store = Store(self._data_dir / "sandbox.sqlite3")
        self.records_url = records_url or f"sqlite:///{self._data_dir / 'records.sqlite3'}"
        self.addresses: dict[str, str] = {}

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def connectors(self) -> dict[str, dict[str, str]]:
        """What `settings.CONNECTORS` must be to talk to this sandbox."""
        at = self.addresses
        return {
            "payments": {"base_url": at["payments"], "api_key": _PAYMENTS_KEY},
            "email": {
                "url": at["smtp"],
                "sender": "service@retailer.example",
                "archive_url": at["email"],
            },
            "records": {"url": at["records"]},
            **{name: {"base_url": at[name], "token": _token(name)} for name in _TOKEN_SYSTEMS},
        }

    def start(self) -> None:
        """Listen on every port; raises OSError when one is taken."""
        try:
            create_records_database(self.records_url)
            self.addresses["records"] = self.records_url
            self._serve(Payments(self.store, _PAYMENTS_KEY, self.effects), self._ports.payments)
            archive = MailArchive(self.store)
            self._smtp = MailServer(self.store, archive.faults, self._ports.smtp)
            self.addresses["smtp"] = self._smtp.url
            self._serve(archive, self._ports.mail_archive)
            self._serve(Directory(self.store, _token("directory")), self._ports.directory)
            self._serve(Changes(self.store, _token("changes")), self._ports.changes)
            self._serve(Logistics(self.store, _token("logistics")), self._ports.logistics)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop serving; waits for nothing that hangs on purpose."""
        with ThreadPoolExecutor() as pool:  # each waits for its server's poll
            list(pool.map(_WebThread.stop, self._web))
        self._web.clear()
        if self._smtp is not None:
            self._smtp.stop()
            self._smtp = None

    def reset(self) -> None:
        """Be as on the first start, on the same ports: no effects, keys, mails, faults or changes.

        Requests that hang on purpose are hurried to their end first, so that none of them reaches
        into what comes after.
        """
        for web in self._web:
            web.system.come_to_rest()
        if self._smtp is not None:
            self._smtp.come_to_rest()
        self.store.empty()
        for web in self._web:
            web.system.furnish()
        refurnish_records(self.records_url)

    def effects(self, system: str) -> list[Json]:
        """What one system really applied, or all of them for "all"; oldest first."""
        if system == "records":
            return records_effects(self.records_url)
        if system != "all":
            return self.store.effects(system)
        names = ("payments", "email", *_TOKEN_SYSTEMS, "records")
        every = [effect for name in names for effect in self.effects(name)]
        return sorted(every, key=lambda effect: str(effect["at"]))

    def writes(self, system: str) -> int:
        """How many requests to change something have arrived at one system over HTTP."""
        return sum(web.system.writes for web in self._web if web.system.name == system)

    def _serve(self, system: WebSystem, port: int) -> None:
        web = _WebThread(system, port)
        self._web.append(web)
        self.addresses[system.name] = web.url


def _token(name: str) -> str:
    return f"{name}-sandbox"
