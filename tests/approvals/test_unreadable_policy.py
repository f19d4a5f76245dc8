"""A policy in force that nobody can read is said everywhere; one in an older grammar goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from approvals.services.sweep import sweep
from approvals.services.watching import watch
from audit.events import AuditCode
from audit.lib.canonical import digest
from audit.models import AuditEvent
from audit.services import record
from policies.models import PolicyVersion, User
from policies.models.versions import VersionStatus
from policies.services.evaluation import evaluate_active
from policies.services.publishable import involvement_in
from tests.admin.make import browser, text_of
from tests.approvals.make import INSTALLER, make_house, make_person
from tests.policies.make import SMALL, clean_refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

OLDEST = (Path(__file__).parents[1] / "upgrades" / "policy-grammar-1.yaml").read_text()
UNREADABLE = SMALL.replace("action.amount <= 100", "action.price <= 100")


@pytest.fixture
def people() -> dict[str, User]:
    cache.clear()
    make_house()
    return {
        "rita": make_person("rita", "risk owner"),
        "rolf": make_person("rolf", "risk owner"),
        "petra": make_person("petra", "ops admin"),
        "fred": make_person("fred", "finance"),
    }


def published_by_an_earlier_release(text: str) -> PolicyVersion:
    """In force, as an earlier release left it."""
    old = PolicyVersion.objects.get()
    old.status, old.retired_at = VersionStatus.RETIRED, timezone.now()
    old.save()
    record(AuditCode.POLICY_RETIRED, actor=INSTALLER, subject=old, state=old.status,
           data={"version": old.label, "successor": "2026-01-01.1"})  # fmt: skip
    version = PolicyVersion.objects.create(
        label="2026-01-01.1", document=text, digest=digest(text), reason="earlier release",
        status=VersionStatus.PUBLISHED, created_at=timezone.now(), published_at=timezone.now(),
    )  # fmt: skip
    record(AuditCode.POLICY_PUBLISHED, actor=INSTALLER, subject=version, state=version.status,
           data={"version": version.label, "digest": version.digest, "reason": "?"})  # fmt: skip
    return version


def codes_of(version: PolicyVersion) -> list[str]:
    events = AuditEvent.objects.filter(subject_type="policies.policyversion", subject_id=version.pk)
    return list(events.order_by("id").values_list("code", flat=True))


def test_an_unreadable_policy_is_not_ready(people: dict[str, User], client: Client) -> None:
    version = published_by_an_earlier_release(UNREADABLE)

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["part"]) == (503, "policy")
    assert f"{version.label} cannot be read" in answer.json()["reason"]


def test_risk_owners_and_ops_admins_are_mailed_once(people: dict[str, User]) -> None:
    published_by_an_earlier_release(UNREADABLE)

    watch()
    watch()

    told = [one for one in mail.outbox if "cannot be read" in str(one.body)]
    assert [sorted(one.bcc) for one in told] == [
        [f"{name}@retailer.example" for name in ("petra", "rita", "rolf")]
    ]


def test_today_says_that_the_policy_cannot_be_read(people: dict[str, User]) -> None:
    published_by_an_earlier_release(UNREADABLE)

    for name in ("rita", "petra"):
        text = text_of(browser(people[name]).get(reverse("admin:index")))
        assert "The document of 2026-01-01.1 cannot be read." in text
    assert "cannot be read" not in text_of(browser(people["fred"]).get(reverse("admin:index")))


def test_a_policy_in_an_older_grammar_goes_on(people: dict[str, User], client: Client) -> None:
    version = published_by_an_earlier_release(OLDEST)

    _, found = evaluate_active(clean_refund())
    sweep()
    sweep()

    assert found.failed_closed == ""
    assert found.tier == 3
    assert client.get("/readyz").status_code == 200
    version.refresh_from_db()
    assert version.document == OLDEST
    assert codes_of(version).count("policy.upgraded") == 1


def test_risk_owners_find_the_upgraded_text_as_a_draft_nobody_wrote(
    people: dict[str, User],
) -> None:
    version = published_by_an_earlier_release(OLDEST)

    sweep()

    draft = PolicyVersion.objects.get(status=VersionStatus.DRAFT)
    assert (draft.author, draft.based_on) == (None, version)
    assert "vendor.*: the pattern is 'single', not 'two groups'." in draft.reason
    assert involvement_in(draft, people["rita"]) is None
    upgraded = AuditEvent.objects.get(code="policy.upgraded")
    assert json.loads(upgraded.data)["read_as"] == draft.digest
    page = browser(people["rita"]).get(reverse("admin:policies_policyversion_changelist"))
    assert "an upgrade" in text_of(page)


def test_a_readable_policy_leaves_nothing_to_draft_and_nobody_to_tell(
    people: dict[str, User], client: Client
) -> None:
    sweep()

    assert client.get("/readyz").status_code == 200
    assert PolicyVersion.objects.count() == 1
    assert not AuditEvent.objects.filter(code="policy.upgraded").exists()
