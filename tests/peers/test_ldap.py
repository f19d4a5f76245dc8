"""What is LDAP's own: TLS, the last member, what is so already, a name given to somebody else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from connectors.base import Action, ConnectorError
from connectors.configuration import look_at
from connectors.registry import action_type, connector_for
from tests.peers.ldap import ACCOUNT, GROUP, OTHER, PASSWORD, USER, Ldap, slapd
from tests.peers.peer import absent
from tests.servers import NoServer

pytestmark = pytest.mark.django_db

KEY = "5ba7" * 16
MEMBER = {"user": "mia.keller", "group": "CRM editors"}


def refused(kind: str, params: dict[str, str], guard: str) -> ConnectorError:
    with pytest.raises(ConnectorError) as error:
        connector_for(action_type(kind)).execute(
            Action(kind, dict(params)), idempotency_key=KEY, guard=guard
        )
    return error.value


def guard_of(kind: str, params: dict[str, str]) -> str:
    return connector_for(action_type(kind)).preview(Action(kind, dict(params))).guard


def test_a_member_twice_is_told_so_by_the_directory(ldap: Ldap) -> None:
    ldap.set_members(OTHER, USER)

    error = refused("ldap_group.add", MEMBER, guard_of("ldap_group.add", MEMBER))

    assert (error.code, error.permanent) == ("already_so", True)
    assert "mia.keller is in CRM editors already" in str(error)


def test_no_member_twice_is_told_so_by_the_directory(ldap: Ldap) -> None:
    error = refused("ldap_group.remove", MEMBER, guard_of("ldap_group.remove", MEMBER))

    assert error.code == "already_so"
    assert "mia.keller is not in CRM editors already" in str(error)


def test_the_last_member_stays_and_people_are_told_why(ldap: Ldap) -> None:
    ldap.set_members(USER)
    action = Action("ldap_group.remove", dict(MEMBER))

    preview = connector_for(action_type(action.type)).preview(action)
    error = refused(action.type, MEMBER, preview.guard)

    assert "cannot be without one" in str(preview.after["problem"])
    assert error.code == "last_member"
    assert "cannot be without one" in str(error)
    assert ldap.values(GROUP, "member") == [USER]


def test_a_name_that_went_to_somebody_else_is_not_the_approved_user(ldap: Ldap) -> None:
    approved = guard_of("ldap_group.add", MEMBER)

    error = refused("ldap_group.add", {**MEMBER, "user": "jonas.weber"}, approved)

    assert error.code == "conflict"
    assert USER not in ldap.values(GROUP, "member")


def test_nothing_is_sent_without_the_approved_version(ldap: Ldap) -> None:
    assert refused("ldap_group.add", MEMBER, "").code == "no_guard"
    assert ldap.values(GROUP, "member") == [OTHER]


@pytest.mark.parametrize("user", ["*", "mia*", "mia.keller)(uid=*", "nobody"])
def test_a_name_is_data_and_never_a_filter(ldap: Ldap, user: str) -> None:
    with pytest.raises(ConnectorError) as unread:
        guard_of("ldap_group.add", {**MEMBER, "user": user})

    assert unread.value.code == "not_found"


def test_what_the_account_may_not_do_is_told_as_that(ldap: Ldap) -> None:
    ldap.configure(disabled_by="title=disabled")

    error = refused(
        "ldap_user.disable", {"user": "mia.keller"}, guard_of("ldap_user.disable", MEMBER)
    )

    assert (error.code, error.permanent) == ("ldap_50", True)
    assert "may not do that there" in str(error)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "slapd.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path,
         "-out", tmp_path / "public.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + (tmp_path / "public.pem").read_text())
    return path


@pytest.fixture
def encrypted(certificate: Path, settings: Settings) -> Iterator[dict[str, str]]:
    try:
        with slapd(certificate.read_text()) as port:
            yield {"url": f"ldaps://{ACCOUNT}:{PASSWORD}@127.0.0.1:{port}"}
    except NoServer as missing:
        absent(str(missing))


def test_tls_needs_a_certificate_of_an_authority_we_trust(
    encrypted: dict[str, str], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConnectorError) as stranger:
        look_at("ldap", encrypted)

    assert "SSLCertVerificationError" in str(stranger.value)
    assert PASSWORD not in str(stranger.value)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("public.pem")))
    look_at("ldap", encrypted)
