"""An SMTP server that delivers into a journal mailbox, which dovecot serves over IMAP."""

from __future__ import annotations

import grp
import mailbox
import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from pytest_django.fixtures import Settings

from tests import programs
from tests.servers import NoServer, free_port, running, temporary_folder, wait_until

PASSWORD = "journal-password-0123456789"
_SETTINGS = """
protocols = imap
listen = 127.0.0.1
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{home}/journal
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}
}}
auth_failure_delay = 0
service anvil {{
  chroot =
  # who failed to sign in is not made to wait
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


class _Journal:
    """Keeps what it is handed, and may be told to say nothing about it."""

    def __init__(self, folder: Path, account: dict[str, Any]) -> None:
        self._folder, self._account = folder, account
        self.is_silent = False
        self.taken = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken += 1
        name = mailbox.Maildir(str(self._folder)).add(message_from_bytes(envelope.content))
        path = next(self._folder.rglob(f"{name}*"))
        path.chmod(0o644)
        if self._account:
            os.chown(path, self._account["user"], self._account["group"])
        if self.is_silent:
            server.transport.close()
        return "250 taken"


@dataclass
class Mail:
    """Both servers."""

    smtp: int
    imap: int
    journal: _Journal
    settings: Settings | None = None

    def configure(self, *, password: str = PASSWORD) -> None:
        assert self.settings is not None
        self.settings.CONNECTORS = {
            "email": {
                "url": f"smtp://127.0.0.1:{self.smtp}",
                "sender": "service@retailer.example",
                "archive_url": f"imap://journal:{password}@127.0.0.1:{self.imap}/INBOX",
            }
        }


@contextmanager
def mail_servers() -> Iterator[Mail]:
    """An SMTP server and dovecot, on one journal."""
    program = programs.dovecot()
    if program is None:
        raise NoServer("needs dovecot (the package dovecot-imapd)")
    port, smtp = free_port(), free_port()
    with temporary_folder() as (home, account):
        entry = pwd.getpwuid(account["user"]) if account else pwd.getpwuid(home.stat().st_uid)
        text = _SETTINGS.format(
            home=home, user=entry.pw_name, group=grp.getgrgid(entry.pw_gid).gr_name,
            uid=entry.pw_uid, gid=entry.pw_gid, password=PASSWORD, port=port,
        )  # fmt: skip
        (home / "dovecot.conf").write_text(text)
        mailbox.Maildir(str(home / "journal"), create=True)
        if account:
            for path in (home / "journal", *(home / "journal").rglob("*")):
                os.chown(path, account["user"], account["group"])
        journal = _Journal(home / "journal", account)
        controller = Controller(journal, hostname="127.0.0.1", port=smtp)
        controller.start()
        try:
            with running([program, "-F", "-c", str(home / "dovecot.conf")], home / "log", account):
                wait_until(lambda: _listens(port), OSError, home / "log")
                yield Mail(smtp, port, journal)
        finally:
            controller.stop()


def _listens(port: int) -> bool:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    return True
