"""Runs the sandbox's systems in threads of this process, on loopback."""

from __future__ import annotations

import logging
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from connectors.sandbox.payments import Payments
from connectors.sandbox.store import Json, Store
from connectors.sandbox.web import WebSystem

_HOST = "127.0.0.1"
_PAYMENTS_KEY = "sk_test_sandbox"


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
        self.system.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._socket.close()


class Sandbox:
    """All outside systems; start and stop them with `with`.

    State lives in `data_dir` and survives a restart. `connectors` has the shape of
    `settings.CONNECTORS`; `addresses` maps each system to where it listens.
    """

    def __init__(self, data_dir: Path | str, ports: Ports | None = None) -> None:
        self._data_dir = Path(data_dir)
        self._ports = ports or Ports()
        self._web: list[_WebThread] = []
        self.store = Store(self._data_dir / "sandbox.sqlite3")
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
        return {
            "payments": {"base_url": self.addresses["payments"], "api_key": _PAYMENTS_KEY},
        }

    def start(self) -> None:
        """Listen on every port; raises OSError when one is taken."""
        self._serve(
            "payments", Payments(self.store, _PAYMENTS_KEY, self.effects), self._ports.payments
        )

    def stop(self) -> None:
        """Stop serving; waits for nothing that hangs on purpose."""
        for web in self._web:
            web.stop()
        self._web.clear()

    def effects(self, system: str) -> list[Json]:
        """What one system really applied, or all of them for "all"."""
        return self.store.effects(system)

    def _serve(self, name: str, system: WebSystem, port: int) -> None:
        web = _WebThread(system, port)
        self._web.append(web)
        self.addresses[name] = web.url
