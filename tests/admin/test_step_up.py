"""Tiers 4 and 5 ask who it is: in the form, in this session, and not again for five minutes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from approvals.exceptions import StepUpRequired
from approvals.models import ActionRequest
from approvals.services import decide
from audit.lib import db_clock
from policies import throttle
from policies.exceptions import PolicyError
from policies.models import Reauthentication, User
from policies.services.passwords import prove
from policies.throttle import MOST_FAILURES
from tests.admin.make import House, action_url, browser, look, page, state_of, text_of
from tests.approvals.make import (
    ACCESS,
    PASSWORD,
    approve_with_edits,
    look_at,
    make_person,
    make_proof,
    make_request,
    manager_refund,
    ticked,
)
from tests.approvals.story import codes, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

ASKED = "Confirm with your password"


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def make_access(house: House, user: str = "mia.keller") -> ActionRequest:
    return make_request(house.agent, {**ACCESS, "user": user}, action_type="access.grant")


def say_yes(client: Client, request: ActionRequest, **said: str) -> HttpResponse:
    form = {
        "seal": look(client, request, "security"),
        "confirmed": ticked(request),
        "reason_code": "as_proposed",
        **said,
    }
    answer: HttpResponse = client.post(action_url(request, "approve", "security"), form)  # type: ignore[assignment]
    return answer


def test_the_form_asks_once_and_the_decision_keeps_how(house: House) -> None:
    first, second = make_access(house), make_access(house, "jonas.weber")
    client = browser(house.sam)
    assert ASKED in text_of(client.get(page(first, "security")))

    answered = say_yes(client, first, password=PASSWORD)

    assert answered.status_code == 302
    decision = first.decisions.get()
    proof = Reauthentication.objects.get()
    assert decision.authentication == proof
    assert (proof.user, proof.method) == (house.sam, "password")
    assert ASKED not in text_of(client.get(page(second, "security")))
    assert say_yes(client, second).status_code == 302
    assert second.decisions.get().authentication == proof


@pytest.mark.parametrize("password", ["", "wrong"])
def test_without_it_nothing_is_decided_and_nothing_typed_is_lost(
    house: House, password: str
) -> None:
    request, client = make_access(house), browser(house.sam)

    answer = say_yes(client, request, password=password, comment="I asked her team lead.")

    text = text_of(answer)
    assert answer.status_code == 422
    assert "I asked her team lead." in text
    assert "your password" in text
    assert 'value="wrong"' not in text
    assert not request.decisions.exists()
    assert not Reauthentication.objects.exists()


def test_saying_no_and_lower_tiers_ask_for_nothing(house: House) -> None:
    request, refund = make_access(house), make_request(house.agent, manager_refund())
    client = browser(house.sam)
    form = {"seal": look(client, request, "security"), "reason_code": "suspicious"}

    assert ASKED not in text_of(browser(house.mona).get(page(refund, "manager")))
    assert client.post(action_url(request, "reject", "security"), form).status_code == 302
    assert state_of(request) == "rejected"


def test_a_proof_is_no_use_in_another_session_of_the_same_person(house: House) -> None:
    first, second = make_access(house), make_access(house, "jonas.weber")
    proved, other = browser(house.sam), browser(house.sam)
    say_yes(proved, first, password=PASSWORD)

    assert ASKED in text_of(other.get(page(second, "security")))
    assert say_yes(other, second).status_code == 422
    assert not second.decisions.exists()


def test_a_proof_in_a_session_grows_old(house: House) -> None:
    first, second = make_access(house), make_access(house, "jonas.weber")
    client = browser(house.sam)
    say_yes(client, first, password=PASSWORD)
    session = client.session
    old = make_old_proof(house.sam)
    session["proof-of-identity"] = old
    session.save()

    assert say_yes(client, second).status_code == 422
    assert not second.decisions.exists()


def make_old_proof(user: User) -> int:
    at = db_clock.now() - timedelta(minutes=5, seconds=1)
    return Reauthentication.objects.create(user=user, method="password", at=at).pk


def test_the_service_takes_no_stale_no_future_and_nobody_elses_proof(house: House) -> None:
    request, sam = make_access(house), house.sam
    twin = make_person("sam-2", "security", person="sam")
    ahead = db_clock.now() + timedelta(minutes=1)
    future = Reauthentication.objects.create(user=sam, method="password", at=ahead).pk
    before, known = snapshot(request), codes(request)
    proofs = (None, 0, make_old_proof(sam), future, make_proof(house.mona), make_proof(twin))

    for proof in proofs:
        reviewed = look_at(request, sam)
        with pytest.raises(StepUpRequired) as refused:
            decide.approve(
                request.pk, decider=sam, reviewed=reviewed, reason_code="as_proposed", proof=proof
            )
        assert refused.value.code == "step_up_required"
        with pytest.raises(StepUpRequired):
            approve_with_edits(
                request.pk, decider=sam, reviewed=reviewed,
                params={**ACCESS, "group": "crm-readers"}, reason_code="corrected", proof=proof,
            )  # fmt: skip

    assert snapshot(request) == before
    assert codes(request) == [*known, *["decision.refused"] * 2 * len(proofs)]


def test_guessing_here_is_slowed_and_locks_nobody_out_of_signing_in(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "FIRST_WAIT", 600)
    for _ in range(MOST_FAILURES + 1):
        with pytest.raises(PolicyError) as refused:
            prove(house.sam, password="wrong")
        assert refused.value.code == "wrong_password"
    with pytest.raises(PolicyError) as refused:
        prove(house.sam, password=PASSWORD)

    signing_in = Client().post("/admin/login/", {"username": "sam", "password": PASSWORD})
    assert refused.value.code == "throttled"
    assert "Wait" in str(refused.value)
    assert signing_in.status_code == 302
    assert not Reauthentication.objects.exists()


def test_a_closed_account_proves_nothing(house: House) -> None:
    User.objects.filter(pk=house.sam.pk).update(is_active=False)

    with pytest.raises(PolicyError):
        prove(house.sam, password=PASSWORD)
