"""Unsafe deployments are refused by every command, each mistake under an id of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.core.checks import CheckMessage

from audit.lib.admin import ReadOnlyAdmin
from audit.models import AuditEvent
from config.admin_checks import problems_of
from config.admin_site import CountersignSite
from tests.config.production import PRODUCTION
from tests.config.starts import manage

ROOT = Path(__file__).resolve().parents[2]

_SYSTEMS = tuple(PRODUCTION)[tuple(PRODUCTION).index("PAYMENTS_URL") :]


def _check(tmp_path: Path, changes: dict[str, str]) -> tuple[int, set[str]]:
    """Exit code and ids of `manage.py check` in the given environment."""
    process = manage("check", folder=tmp_path, changes=changes)
    found = set(re.findall(r"\(countersign\.([EW]\d+)\)", process.stdout + process.stderr))
    if process.returncode and not found:
        found = {process.stderr.strip().splitlines()[-1]}
    return process.returncode, found


DEMO = {
    "DEMO": "1",
    "ALLOWED_HOSTS": "localhost,127.0.0.1",
    "DATABASE_URL": "sqlite:////tmp/unused.sqlite3",
    "BROKER_URL": "filesystem://",
}
SIGNS_IN = {"SYSTEMS": "salesforce"}
DEMO_ELSEWHERE = {**DEMO, "DATABASE_URL": PRODUCTION["DATABASE_URL"], "BROKER_URL": "redis://r/0"}


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"AUDIT_KEY": PRODUCTION["SECRET_KEY"]}, "E001"),
        ({"SECRET_KEY": "abab" * 12}, "E001"),
        ({"BASE_CURRENCY": "EURO"}, "E015"),
        ({"AUDIT_RETIRED_KEYS": PRODUCTION["AUDIT_KEY"]}, "E001"),
        ({"ALLOWED_HOSTS": "*"}, "E002"),
        ({"ALLOWED_HOSTS": "localhost"}, "E002"),
        ({"PAYMENTS_URL": "https://127.0.0.1:8011"}, "E003"),
        ({"PAYMENTS_URL": "https://127.0.0.1:8011", "TRUSTED_RELAYS": "127.0.0.1:8012"}, "E003"),
        ({"PAYMENTS_URL": "http://payments.acme.net"}, "E018"),
        ({"PAYMENTS_URL": "http://127.0.0.1:8011"}, "E018"),
        ({"PAYMENTS_API_KEY": ""}, "E016"),
        ({"DEBUG": "1"}, "E017"),
        ({"RECORDS_URL": "sqlite:////var/records.sqlite3"}, "E003"),
        ({"DIRECTORY_TOKEN": "directory-sandbox"}, "E004"),
        ({"BROKER_URL": "filesystem://"}, "E005"),
        ({**DEMO, "BIND_HOST": "0.0.0.0"}, "E009"),  # noqa: S104  # refused, not bound
        ({**DEMO, "ALLOWED_HOSTS": "countersign.acme.net"}, "E009"),
        (DEMO_ELSEWHERE, "E010"),
        ({"EXECUTION_LEASE_SECONDS": "13", "TASK_TIME_LIMIT_SECONDS": "10"}, "E011"),
        ({**SIGNS_IN, "EXECUTION_LEASE_SECONDS": "29", "TASK_TIME_LIMIT_SECONDS": "20"}, "E011"),
        ({"TASK_TIME_LIMIT_SECONDS": "60"}, "E012"),
        ({"DATABASE_TRANSACTION_POOLER": "1", "DATABASE_PREPARE_THRESHOLD": "3"}, "E026"),
        ({"TASK_TIME_LIMIT_SECONDS": "8"}, "E012"),
        ({"PAYMENTS_URL": "https://[payments"}, "E016"),
        ({**DEMO, "RECORDS_URL": "the CRM"}, "E016"),
    ],
)
def test_an_unsafe_deployment_is_refused(
    tmp_path: Path, changes: dict[str, str], expected: str
) -> None:
    code, found = _check(tmp_path, changes)

    assert code == 1
    assert found == {expected}


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        (DEMO, set()),
        (dict.fromkeys(_SYSTEMS, ""), set()),
        ({"PAYMENTS_URL": "http://127.0.0.1:8011", "TRUSTED_RELAYS": "127.0.0.1"}, set()),
        ({"PAYMENTS_URL": "http://relay:8011", "TRUSTED_RELAYS": "x,relay:8011"}, set()),
        ({"DATABASE_TRANSACTION_POOLER": "1"}, set()),
        (SIGNS_IN, set()),
        ({"EXECUTION_LEASE_SECONDS": "29", "TASK_TIME_LIMIT_SECONDS": "20"}, set()),
        ({"SECURE_HSTS_SECONDS": "0"}, {"W008"}),
        ({"BASE_URL": "http://countersign.acme.net"}, {"W013"}),
        ({"EMAIL_URL": "console://"}, {"W014"}),
        ({"DATABASE_URL": "sqlite:////tmp/unused.sqlite3"}, {"W006"}),
    ],
)
def test_a_sound_one_starts_if_only_with_a_warning(
    tmp_path: Path, changes: dict[str, str], expected: set[str]
) -> None:
    assert _check(tmp_path, changes) == (0, expected)


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(
    ("pooler", "expected"), [("0", [True, 3, False, True]), ("1", [False, None, True, False])]
)
def test_behind_a_transaction_pooler_nothing_outlives_its_transaction(
    tmp_path: Path, pooler: str, expected: list[object]
) -> None:
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            "import json; from config.settings import DATABASES; found = DATABASES['default']; "
            "options = found['OPTIONS']; print(json.dumps([options['server_side_binding'], "
            "options['prepare_threshold'], found['DISABLE_SERVER_SIDE_CURSORS'], "
            "'jit=off' in options.get('options', '')]))",
        ],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "COUNTERSIGN_VAR": str(tmp_path),
            **PRODUCTION,
            "DATABASE_TRANSACTION_POOLER": pooler,
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(process.stdout) == expected


@pytest.mark.slow
@pytest.mark.once
def test_a_system_left_out_is_off_and_leads_nowhere(tmp_path: Path) -> None:
    alone = {name: value for name, value in PRODUCTION.items() if name not in _SYSTEMS}
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            "import django, json; django.setup(); from django.conf import settings; "
            "print(json.dumps(settings.CONNECTORS))",
        ],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "COUNTERSIGN_VAR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            **alone,
        },
        capture_output=True,
        text=True,
        check=True,
    )

    values = [value for system in json.loads(process.stdout).values() for value in system.values()]
    assert values
    assert not any(values)


@pytest.mark.slow
@pytest.mark.once
def test_the_web_server_refuses_too(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", "import config.wsgi"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "COUNTERSIGN_VAR": str(tmp_path),
            **PRODUCTION,
            "ALLOWED_HOSTS": "*",
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert process.returncode != 0
    assert "countersign.E002" in process.stderr


def _registered(**attributes: Any) -> list[CheckMessage]:
    site = CountersignSite()
    site.register(AuditEvent, type("Page", (ReadOnlyAdmin,), attributes))
    return list(problems_of(site))


def test_our_own_pages_keep_the_rules() -> None:
    assert list(problems_of(admin.site)) == []
    assert _registered() == []


def test_an_ordinary_model_admin_is_refused() -> None:
    site = CountersignSite()
    site.register(AuditEvent, admin.ModelAdmin)

    assert [problem.id for problem in problems_of(site)] == ["countersign.E020"]


def _unguarded(page: Any, request: Any, queryset: Any) -> None: ...


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"list_editable": ("code",), "list_display": ("at", "code")}, "countersign.E021"),
        ({"has_delete_permission": lambda *_: True}, "countersign.E022"),
        ({"actions": [_unguarded]}, "countersign.E024"),
        ({"actions_row": ["approve"], "approve": _unguarded}, "countersign.E024"),
        ({"has_change_permission": lambda *_: True}, "countersign.E025"),
    ],
)
def test_a_page_that_breaks_a_rule_is_named(attributes: dict[str, Any], expected: str) -> None:
    assert [problem.id for problem in _registered(**attributes)] == [expected]
