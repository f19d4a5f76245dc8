"""What every request passes on its way in and out."""

from __future__ import annotations

from django.test import Client


def test_a_sane_request_id_is_echoed_and_another_is_replaced(client: Client) -> None:
    kept = client.get("/healthz", headers={"X-Request-Id": "trace-1.2:3"})
    replaced = client.get("/healthz", headers={"X-Request-Id": 'x" onload="y'})

    assert kept["X-Request-Id"] == "trace-1.2:3"
    assert len(replaced["X-Request-Id"]) == 32
