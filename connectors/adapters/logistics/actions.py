"""What can be proposed to the logistics system."""

from __future__ import annotations

from connectors.catalogue import ActionType, Reversibility, Verb
from connectors.schema import choice, identifier, one_line, params_object
from connectors.wording import quoted, text

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
