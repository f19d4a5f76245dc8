"""The logistics system: shipments between depots, robots in the warehouse."""

from __future__ import annotations

from audit.lib.canonical import JsonObject
from connectors.adapters.json_http import EvidenceRead, Exchange, HttpSystem, record_of
from connectors.base import Action, Receipt, cannot_undo
from connectors.catalogue import ActionType, Reversibility, Verb, quoted, text
from connectors.params import choice, identifier, one_line, params_object

SHIPMENT_REROUTE = ActionType(
    key="shipment.reroute",
    version=1,
    title="Reroute a shipment",
    verb=Verb.UPDATE,
    system="logistics",
    reversibility=Reversibility.EXTERNALLY_REVERSIBLE,
    schema=params_object(
        {
            "shipment": identifier("shp_[A-Za-z0-9]{1,64}", 'A shipment id such as "shp_6001".'),
            "depot": identifier("[A-Z]{3}-[0-9]{1,3}", 'A depot such as "BER-1".', longest=7),
            "reason": one_line("Why it goes elsewhere, in one line.", longest=300),
        }
    ),
    target=lambda params: f"shipment {text(params, 'shipment')}",
    effect=lambda params: (
        f"Send shipment {text(params, 'shipment')} to depot {text(params, 'depot')} "
        f"(reason: {quoted(text(params, 'reason'))})."
    ),
    undo="The carrier can be asked to send it back while it is under way (shipment.reroute).",
    protected=frozenset({"shipment"}),
    undo_type="shipment.reroute",
)

ROBOT_RUN = ActionType(
    key="robot.run",
    version=1,
    title="Run a warehouse robot",
    verb=Verb.EXECUTE,
    system="logistics",
    reversibility=Reversibility.IRREVERSIBLE,
    schema=params_object(
        {
            "robot": identifier("robot-[0-9]{1,6}", 'A robot id such as "robot-1".', longest=12),
            "task": choice("What the robot does.", "pick", "move_pallet", "restock", "clean_zone"),
            "zone": identifier("[A-Z]", 'A zone of the warehouse, "A" to "Z".', longest=1),
        }
    ),
    target=lambda params: f"robot {text(params, 'robot')}",
    effect=lambda params: (
        f"Let {text(params, 'robot')} run the task {text(params, 'task')} "
        f"in zone {text(params, 'zone')}."
    ),
    undo="Cannot be undone: what the robot moved stays moved. It can be stopped by hand.",
    protected=frozenset({"robot", "zone"}),
    supervised=True,
)

ACTION_TYPES = (SHIPMENT_REROUTE, ROBOT_RUN)


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
