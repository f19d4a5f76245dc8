"""Whatever the OpenAPI document allows, and what it does not: never a 500."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from pytest_django.live_server_helper import LiveServer
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from tests.approvals.make import make_agent, make_house, make_key, make_person
from tests.trials import trials

EXAMPLES = trials(12, least=2)


@pytest.mark.usefixtures("transactional_db", "sandbox")
def test_no_call_makes_the_server_fail(live_server: LiveServer) -> None:
    make_house()
    headers = {"Authorization": f"Bearer {make_key(make_agent(make_person('o', 'agent owner')))}"}
    document = httpx.get(f"{live_server.url}/api/v1/schema/?format=json").json()
    called = set()

    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        for mode in GenerationMode:
            operation = result.ok()

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def call(case: Any) -> None:
                case.headers = {**(case.headers or {}), **headers}
                answer = case.call(base_url=live_server.url)
                case.validate_response(answer, checks=[not_a_server_error])

            with suppress(Unsatisfiable):  # a call without any input cannot be made wrong
                call()
                called.add(operation.label)

    assert len(called) == 16
    assert httpx.get(f"{live_server.url}/api/v1/actions/", headers=headers).status_code == 200
