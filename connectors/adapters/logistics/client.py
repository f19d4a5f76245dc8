"""The logistics system's HTTP interface."""

from __future__ import annotations

from audit.canonical import JsonObject
from connectors.adapters.http.actions import EvidenceRead, Exchange, HttpSystem, record_of
from connectors.base import Action, Receipt
from connectors.dispatch import cannot_undo
from connectors.wording import text

_SHIPMENT = "/shipments/{shipment}"
_ROBOT = "/robots/{robot}"


def _send_back(params: JsonObject, receipt: Receipt) -> Action:
    depot = receipt.pre_image.get("depot")
    if not isinstance(depot, str) or not depot:
        raise cannot_undo("The logistics system did not tell where the shipment was going before.")
    return Action(
        "shipment.reroute",
        {
            "shipment": params["shipment"],
            "depot": depot,
            "reason": f"Undo of {receipt.reference}",
        },
    )


def _no_way_back(params: JsonObject, receipt: Receipt) -> Action:
    raise cannot_undo("What a robot has moved is not moved back by this system.")


SYSTEM = HttpSystem(
    system="logistics",
    lookup_path="/changes",
    key_window_seconds=24 * 3600,
    exchanges={
        "shipment.reroute": Exchange(
            method="POST",
            path=_SHIPMENT + "/reroute",
            body=lambda params: {"depot": params["depot"], "reason": params["reason"]},
            read_path=_SHIPMENT,
            state=lambda answer, params: record_of(answer, "depot"),
            wanted=lambda params: {"depot": params["depot"]},
            undo=_send_back,
            summary=lambda params: (
                f"Shipment {text(params, 'shipment')} goes to {text(params, 'depot')}."
            ),
            evidence=(EvidenceRead("source_record", "Shipment {shipment}", _SHIPMENT),),
        ),
        "robot.run": Exchange(
            method="POST",
            path=_ROBOT + "/runs",
            body=lambda params: {"task": params["task"], "zone": params["zone"]},
            read_path=_ROBOT,
            state=lambda answer, params: record_of(answer, "task", "zone"),
            wanted=lambda params: {"task": params["task"], "zone": params["zone"]},
            undo=_no_way_back,
            summary=lambda params: (
                f"{text(params, 'robot')} ran {text(params, 'task')} "
                f"in zone {text(params, 'zone')}."
            ),
            verify_path="/runs/{reference}",
            evidence=(EvidenceRead("source_record", "Robot {robot}", _ROBOT),),
        ),
    },
)
