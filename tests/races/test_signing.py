"""A signed message that arrives twenty times at once: its nonce counts once."""

from __future__ import annotations

from functools import partial

import pytest

from approvals.models import ActionRequest, SignatureNonce
from tests.approvals.make import Cast
from tests.approvals.signing import make_signer
from tests.races.make import at_once
from tests.races.rounds import the_trail_is_whole_after_every_race
from tests.trials import trials

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

__all__ = ["the_trail_is_whole_after_every_race"]  # runs around every test here


def test_of_twenty_replays_at_once_one_counts(cast: Cast) -> None:
    signer = make_signer(cast.agent)
    rounds = trials(20)
    for _ in range(rounds):
        sent = signer.sign(signer.message())
        before = ActionRequest.objects.count()

        answers = at_once(*[partial(signer.send, sent)] * 20)

        statuses = sorted(answer.status_code for answer in answers)  # type: ignore[attr-defined]
        assert statuses == [201] + [401] * 19
        codes = {answer.json().get("code") for answer in answers}  # type: ignore[attr-defined]
        assert codes == {None, "signature_replayed"}
        assert ActionRequest.objects.count() == before + 1
    assert SignatureNonce.objects.count() == rounds
