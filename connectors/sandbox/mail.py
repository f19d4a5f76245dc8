"""An SMTP server that keeps every mail, and the archive that finds them over HTTP."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from connectors.sandbox.store import Json, Store
from connectors.sandbox.web import Call, Faults, WebSystem


class MailArchive(WebSystem):
    """`GET /messages?message_id=...`; faults planned for `/smtp` strike the mail server."""

    name = "email"

    def __init__(self, store: Store) -> None:
        super().__init__(store, "", {("GET", "/messages"): _find})


def _find(call: Call) -> tuple[int, Json]:
    wanted = call.query.get("message_id", "")
    found = [mail for mail in call.store.all("mail") if wanted in {"", mail["message_id"]}]
    return 200, {"messages": found}


class MailServer:
    """SMTP on its own event loop in a thread. Planned faults strike when a message arrives."""

    def __init__(self, store: Store, faults: Faults, port: int) -> None:
        self._store = store
        self._faults = faults
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.url = f"smtp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._transports: set[asyncio.BaseTransport] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def come_to_rest(self) -> None:
        """Hang up on everybody; messages not kept yet are lost."""
        asyncio.run_coroutine_threadsafe(self._wind_down(), self._loop).result()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(
                lambda: SMTP(
                    _MailStore(self._store, self._faults),
                    hostname="mail.retailer.example",
                    ident="Sandbox mail",
                    loop=self._loop,
                    timeout=60,
                ),
                sock=self._listener,
            )
        )
        self._started.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            self._loop.run_until_complete(self._wind_down())
            self._loop.close()

    async def _wind_down(self) -> None:
        running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*running, return_exceptions=True)


class _MailStore:
    """Stores each accepted message, once its fate is decided."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.endswith("@invalid.example"):
            return "550 5.1.1 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        fault = self._faults.take("DATA", "/smtp")
        mode = fault.mode if fault else ""
        if mode in {"refuse", "error_500"}:
            return "554 5.6.0 Planned refusal; not accepted"
        if mode == "busy":
            return "451 4.3.0 Planned overload; not accepted"
        if mode == "reset":
            return self._drop(server)
        if fault and mode == "slow":
            await asyncio.sleep(fault.seconds)
        self._keep(envelope)
        if fault and mode == "apply_then_hang":
            await asyncio.sleep(fault.seconds)
        if mode in {"apply_then_reset", "half_body"}:
            return self._drop(server)
        return "250 2.0.0 Kept"

    def _drop(self, server: SMTP) -> str:
        transport: Any = server.transport
        transport.abort()
        return "421 Dropped"

    def _keep(self, envelope: Envelope) -> None:
        content = envelope.content
        raw = content if isinstance(content, bytes) else str(content).encode()
        message = message_from_bytes(raw, _class=EmailMessage, policy=policy.default)
        message_id = str(message["Message-ID"])
        with self._store.transaction("email") as store:
            mail = {
                "id": f"mail_{store.next_number('mail'):06d}",
                "message_id": message_id,
                "from": str(message["From"]),
                "recipients": list(envelope.rcpt_tos),
                "subject": str(message["Subject"]),
                "body": message.get_content(),
                "received_at": datetime.now(UTC).isoformat(),
            }
            store.put("mail", mail["id"], mail)
            store.applied(
                mail["id"],
                "email.send",
                f"mailbox {', '.join(envelope.rcpt_tos)}",
                key=message_id,
                detail={"subject": mail["subject"], "body": mail["body"]},
            )
