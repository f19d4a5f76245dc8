"""slapd: OpenLDAP's server, looked at with its own programs and not with ours."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from pytest_django.fixtures import Settings

from tests import programs
from tests.peers.peer import Case
from tests.peers.proxy import Proxy, losing_answers
from tests.servers import NoServer, free_port, running, temporary_folder, wait_until

BASE = "dc=retailer,dc=example"
ACCOUNT, PASSWORD = f"cn=countersign,{BASE}", "ldap-password-0123456789"
ADMIN, ADMIN_PASSWORD = f"cn=admin,{BASE}", "admin"
USER = f"uid=mia.keller,ou=people,{BASE}"
OTHER = f"uid=jonas.weber,ou=people,{BASE}"
GROUP = f"cn=CRM editors,ou=groups,{BASE}"
LOCKED = "000001010000Z"
_SETTINGS = f"""
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile HOME/pid
TLS
database mdb
suffix "{BASE}"
rootdn "{ADMIN}"
rootpw {ADMIN_PASSWORD}
directory HOME/data
dbnosync
overlay ppolicy
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=groups,{BASE}" attrs=member by dn.exact="{ACCOUNT}" write by * read
access to attrs=pwdAccountLockedTime by dn.exact="{ACCOUNT}" write by * read
access to * by * read
"""
_ENTRIES = f"""
dn: {BASE}
objectClass: dcObject
objectClass: organization
o: Retailer

dn: ou=people,{BASE}
objectClass: organizationalUnit

dn: ou=groups,{BASE}
objectClass: organizationalUnit

dn: {ACCOUNT}
objectClass: applicationProcess
objectClass: simpleSecurityObject
userPassword: {PASSWORD}

dn: {USER}
objectClass: inetOrgPerson
cn: Mia Keller
sn: Keller
displayName: Mia Keller
mail: mia.keller@retailer.example

dn: {OTHER}
objectClass: inetOrgPerson
cn: Jonas Weber
sn: Weber

dn: {GROUP}
objectClass: groupOfNames
description: May change customers
member: {OTHER}
"""


@contextmanager
def slapd(certificate: str = "") -> Iterator[int]:
    """Its port, with the entries above; with a certificate (and its key) it speaks TLS too."""
    program = programs.slapd()
    if program is None or shutil.which("ldapmodify") is None:
        raise NoServer("needs slapd and ldapmodify (the packages slapd and ldap-utils)")
    port = free_port()
    with temporary_folder() as (home, account):
        (home / "data").mkdir()
        tls, scheme = "", "ldap"
        if certificate:
            path = home / "certificate.pem"
            path.write_text(certificate)
            tls = f"TLSCertificateFile {path}\nTLSCertificateKeyFile {path}"
            scheme = "ldaps"
        text = _SETTINGS.replace("TLS\n", f"{tls}\n").replace("HOME", str(home))
        (home / "slapd.conf").write_text(text)
        add = [program, "-T", "add", "-f", str(home / "slapd.conf"), "-q"]
        subprocess.run(add, input=_ENTRIES.encode(), check=True, cwd=home, capture_output=True)
        if account:
            subprocess.run(["chown", "-R", str(account["user"]), str(home)], check=True)
        command = [program, "-f", str(home / "slapd.conf"), "-d", "0"]
        command += ["-h", f"{scheme}://127.0.0.1:{port}"]
        with running(command, home / "log", account):
            wait_until(lambda: _listens(port), OSError, home / "log")
            yield port


def _administer(port: int, program: str, *arguments: str, ldif: str = "") -> str:
    """Run one of OpenLDAP's programs as the directory's own administrator."""
    sign_in = ["-x", "-H", f"ldap://127.0.0.1:{port}", "-D", ADMIN, "-w", ADMIN_PASSWORD]
    command = [program, *sign_in, *arguments]
    done = subprocess.run(command, input=ldif, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoServer(done.stderr)
    return done.stdout


def _listens(port: int) -> bool:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    return True


@dataclass
class Ldap:
    """The directory, as new."""

    port: int
    settings: Settings
    system: str = "ldap"
    secret: str = "wrong-password-9876543210"

    def __post_init__(self) -> None:
        self.set_members(OTHER)
        self.replace(USER, "pwdAccountLockedTime")
        self.configure()

    def address(self, *, port: int = 0, password: str = PASSWORD, scheme: str = "ldap") -> str:
        return f"{scheme}://{quote(ACCOUNT)}:{password}@127.0.0.1:{port or self.port}"

    def configure(self, **values: str) -> None:
        config = {
            "url": self.address(),
            "groups": f"ou=groups,{BASE}",
            "users": f"ou=people,{BASE}",
            "disabled_by": f"pwdAccountLockedTime={LOCKED}",
            **values,
        }
        self.settings.SYSTEMS = (self.system,)
        self.settings.CONNECTORS = {**self.settings.CONNECTORS, self.system: config}

    def wrong_credential(self) -> None:
        self.configure(url=self.address(password=self.secret))

    @contextmanager
    def losing(self, case: Case, loss: str) -> Iterator[Proxy]:
        with losing_answers(("127.0.0.1", self.port), b"1.3.6.1.1.12", loss) as proxy:
            self.configure(url=self.address(port=proxy.port))
            yield proxy
            self.configure()

    def values(self, dn: str, attribute: str) -> list[str]:
        asked = ["-LLL", "-o", "ldif-wrap=no", "-b", dn, "-s", "base", "(objectClass=*)", attribute]
        lines = _administer(self.port, "ldapsearch", *asked).splitlines()
        return [line.partition(": ")[2] for line in lines if line.startswith(f"{attribute}: ")]

    def replace(self, dn: str, attribute: str, *values: str) -> None:
        encoded = [base64.b64encode(value.encode()).decode() for value in values]
        lines = [f"dn: {dn}", "changetype: modify", f"replace: {attribute}"]
        ldif = "\n".join([*lines, *(f"{attribute}:: {value}" for value in encoded), "-", ""])
        _administer(self.port, "ldapmodify", ldif=ldif)

    def set_members(self, *members: str) -> None:
        self.replace(GROUP, "member", *members)

    def redescribe_group(self) -> None:
        self.replace(GROUP, "description", "May do whatever they like")

    def rename_user(self) -> None:
        self.replace(USER, "displayName", "Mia Weber")
        self.replace(USER, "displayName", "Mia Keller")


def _member(peer: Ldap) -> dict[str, str]:
    return {"user": "mia.keller", "group": "CRM editors"}


def _user(peer: Ldap) -> dict[str, str]:
    return {"user": "mia.keller"}


_WHO = ("Mia Keller", "mia.keller@retailer.example")
CASES = (
    Case(
        "ldap",
        "ldap_group.add",
        _member,
        is_done=lambda peer: USER in peer.values(GROUP, "member"),
        names=("CRM editors", "May change customers", *_WHO),
        prepare=lambda peer: peer.replace(GROUP, "description", "May change customers"),
        move=Ldap.redescribe_group,
        undone_by="ldap_group.remove",
    ),
    Case(
        "ldap",
        "ldap_group.remove",
        _member,
        is_done=lambda peer: USER not in peer.values(GROUP, "member"),
        names=("CRM editors", *_WHO),
        prepare=lambda peer: peer.set_members(OTHER, USER),
        move=Ldap.redescribe_group,
        undone_by="ldap_group.add",
    ),
    Case(
        "ldap",
        "ldap_user.disable",
        _user,
        is_done=lambda peer: peer.values(USER, "pwdAccountLockedTime") == [LOCKED],
        names=_WHO,
        move=Ldap.rename_user,
        undone_by="ldap_user.enable",
    ),
    Case(
        "ldap",
        "ldap_user.enable",
        _user,
        is_done=lambda peer: peer.values(USER, "pwdAccountLockedTime") == [],
        names=_WHO,
        prepare=lambda peer: peer.replace(USER, "pwdAccountLockedTime", LOCKED),
        move=Ldap.rename_user,
        undone_by="ldap_user.disable",
    ),
)
