"""The sandbox is strict like the real systems, and its books are true."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import ACCOUNTS, SHOPPERS
from tests.connectors.make import EXAMPLES

_KEY = "sk_test_sandbox"


def stripe(sandbox: Sandbox, method: str, path: str, key: str = "", **form: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {_KEY}"}
    if key:
        headers["Idempotency-Key"] = key
    url = sandbox.addresses["payments"] + path
    return httpx.request(method, url, data=form, headers=headers, trust_env=False)


def test_the_demo_world_has_its_forty_charges(sandbox: Sandbox) -> None:
    assert [shopper.charge for shopper in SHOPPERS] == [f"ch_{n}" for n in range(1001, 1041)]
    assert len(ACCOUNTS) == 40
    first = stripe(sandbox, "GET", "/v1/charges/ch_1001").json()
    assert (first["amount"], first["currency"], first["amount_refunded"]) == (200_000, "eur", 0)
    for shopper in SHOPPERS:
        assert shopper.amount >= 2_900
        unusual = shopper.refunds_90d + shopper.complaints_90d > 0
        assert unusual is (shopper.number >= 1036)


def test_a_key_with_other_parameters_is_an_idempotency_error(sandbox: Sandbox) -> None:
    first = stripe(sandbox, "POST", "/v1/refunds", "k", charge="ch_1002", amount="100")
    assert first.status_code == 200

    same = stripe(sandbox, "POST", "/v1/refunds", "k", charge="ch_1002", amount="100")
    other = stripe(sandbox, "POST", "/v1/refunds", "k", charge="ch_1002", amount="101")

    assert same.json() == first.json()
    assert other.status_code == 400
    assert other.json()["error"]["type"] == "idempotency_error"
    assert len(sandbox.effects("payments")) == 1


def test_no_more_is_refunded_than_was_paid_whoever_races(sandbox: Sandbox) -> None:
    def refund(number: int) -> int:
        answer = stripe(
            sandbox, "POST", "/v1/refunds", f"k{number}", charge="ch_1001", amount="30000"
        )
        return answer.status_code

    with ThreadPoolExecutor(10) as pool:
        codes = sorted(pool.map(refund, range(10)))

    assert codes == [200] * 6 + [400] * 4
    assert sum(effect["amount"] for effect in sandbox.effects("payments")) == 180_000


def test_a_fully_refunded_charge_says_so(sandbox: Sandbox) -> None:
    stripe(sandbox, "POST", "/v1/refunds", "k1", charge="ch_1003")

    again = stripe(sandbox, "POST", "/v1/refunds", "k2", charge="ch_1003", amount="1")

    assert again.status_code == 400
    assert again.json()["error"]["code"] == "charge_already_refunded"
    assert again.json()["error"]["request_id"].startswith("req_")


@pytest.mark.parametrize("amount", ["0", "-5", "1.50", "1e3", "", "x"])
def test_an_amount_that_is_no_positive_integer_is_refused(sandbox: Sandbox, amount: str) -> None:
    answer = stripe(sandbox, "POST", "/v1/refunds", charge="ch_1003", amount=amount)

    assert answer.status_code == 400


def test_lists_come_in_pages(sandbox: Sandbox) -> None:
    for number in range(5):
        stripe(sandbox, "POST", "/v1/refunds", f"k{number}", charge="ch_1001", amount="100")

    first = stripe(sandbox, "GET", "/v1/refunds?charge=ch_1001&limit=3").json()
    rest = stripe(
        sandbox, "GET", f"/v1/refunds?charge=ch_1001&starting_after={first['data'][-1]['id']}"
    ).json()

    assert (len(first["data"]), first["has_more"]) == (3, True)
    assert (len(rest["data"]), rest["has_more"]) == (2, False)


@pytest.mark.parametrize("system", ["payments", "directory", "changes", "logistics"])
def test_without_the_right_token_nothing_is_shown(sandbox: Sandbox, system: str) -> None:
    answer = httpx.get(f"{sandbox.addresses[system]}/v1/charges/ch_1001", trust_env=False)

    assert answer.status_code == 401


def test_every_system_lists_its_effects_and_payments_can_list_all(sandbox: Sandbox) -> None:
    for number, example in enumerate(EXAMPLES):
        if example.first is None:
            example.connector.execute(example.prepared(), idempotency_key=f"key-{number}")

    every = httpx.get(f"{sandbox.addresses['payments']}/_effects?system=all").json()
    own = {
        system: httpx.get(f"{sandbox.addresses[system]}/_effects").json()
        for system in ("payments", "email", "directory", "changes", "logistics")
    }

    assert {effect["system"] for effect in every} == {*own, "records"}
    assert sum(len(effects) for effects in own.values()) == sum(
        effect["system"] != "records" for effect in every
    )
    for effect in every:
        assert set(effect) == {
            "id", "kind", "target", "amount", "currency", "idempotency_key", "detail", "at",
            "system",
        }  # fmt: skip
    refund = next(effect for effect in own["payments"] if effect["kind"] == "refund")
    assert (refund["amount"], refund["currency"]) == (18_000, "EUR")
    assert (refund["target"], refund["idempotency_key"]) == ("charge ch_1001", "key-0")


def test_effects_and_state_survive_a_restart(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as first:
        made = stripe(first, "POST", "/v1/refunds", "k", charge="ch_1001", amount="100").json()

    with Sandbox(tmp_path) as second:
        again = stripe(second, "POST", "/v1/refunds", "k", charge="ch_1001", amount="100").json()
        charge = stripe(second, "GET", "/v1/charges/ch_1001").json()

        assert again == made
        assert charge["amount_refunded"] == 100
        assert len(second.effects("payments")) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b'{"mode": "explode"}', b"not json"])
def test_a_fault_that_does_not_exist_is_refused(sandbox: Sandbox, body: bytes) -> None:
    answer = httpx.post(f"{sandbox.addresses['changes']}/_faults", content=body)

    assert answer.status_code == 400


def test_faults_can_be_cleared(sandbox: Sandbox) -> None:
    address = f"{sandbox.addresses['payments']}/_faults"
    httpx.post(address, json={"mode": "error_500", "times": 99})
    assert stripe(sandbox, "GET", "/v1/charges/ch_1001").status_code == 500

    httpx.delete(address)

    assert stripe(sandbox, "GET", "/v1/charges/ch_1001").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_says_where_it_listens_and_stops_when_told(
    tmp_path: Path, number: signal.Signals
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "connectors.sandbox", "--data", str(tmp_path), "--port-base", "0"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with program:
        try:
            assert program.stdout is not None
            report = json.loads(program.stdout.readline())
            payments = report["connectors"]["payments"]["base_url"]
            assert httpx.get(f"{payments}/_health").json() == {"system": "payments"}
        finally:
            program.send_signal(number)

        assert program.wait(timeout=10) == 0


def test_a_reset_sandbox_is_as_new_and_nothing_hanging_reaches_into_it(sandbox: Sandbox) -> None:
    addresses, first = dict(sandbox.addresses), everything_in(sandbox)
    for example in EXAMPLES:
        example.connector.execute(example.prepared(), idempotency_key=f"key-{example.key}")
    payments = sandbox.addresses["payments"]
    fault = {"mode": "slow", "seconds": 30, "method": "POST"}
    httpx.post(f"{payments}/_faults", json={**fault, "times": 2}, trust_env=False)

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(stripe, sandbox, "POST", "/v1/refunds", "slow", charge="ch_1002")
        while not waits(sandbox, "payments"):
            time.sleep(0.01)
        sandbox.reset()
        assert hanging.result().status_code == 200  # hurried to its end, and then forgotten

    assert sandbox.addresses == addresses
    assert everything_in(sandbox) == first
    assert sandbox.effects("all") == []
    used = "key-refund.issue"
    again = stripe(sandbox, "POST", "/v1/refunds", used, charge="ch_1003", amount="1")
    assert again.json()["charge"] == "ch_1003"  # neither the key nor the fault is remembered


def waits(sandbox: Sandbox, system: str) -> bool:
    """Whether a request hangs in that system, its fault taken up."""
    (web,) = [web for web in sandbox._web if web.system.name == system]
    return len(web.system.faults._planned) == 1 and web.system.faults._planned[0].times == 1


def everything_in(sandbox: Sandbox) -> list[str]:
    """Both databases, row by row."""
    paths = (sandbox.store._path, Path(sandbox.records_url.removeprefix("sqlite:///")))
    rows: list[str] = []
    for path in paths:
        with closing(sqlite3.connect(path)) as database:
            rows += database.iterdump()
    return rows
