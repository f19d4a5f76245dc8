"""The change system: configuration of services in production. One setting is one resource."""

from __future__ import annotations

from audit.lib.canonical import JsonObject
from connectors.adapters.json_http import EvidenceRead, Exchange, HttpSystem, record_of
from connectors.base import Action, Receipt, cannot_undo
from connectors.catalogue import ActionType, Reversibility, Verb, quoted, text
from connectors.params import free_text, identifier, params_object

_NAME = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9])?"

CONFIG_CHANGE = ActionType(
    key="config.change",
    version=1,
    title="Change a production setting",
    verb=Verb.EXECUTE,
    system="changes",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object(
        {
            "service": identifier(_NAME, 'A service such as "checkout".'),
            "key": identifier(_NAME, 'A setting that exists, such as "max_items".'),
            "value": free_text("The new value, as text.", longest=2000, shortest=0),
        }
    ),
    target=lambda params: f"setting {text(params, 'key')} of {text(params, 'service')}",
    effect=lambda params: (
        f"Set {text(params, 'key')} of service {text(params, 'service')} in production "
        f"to {quoted(text(params, 'value'))}."
    ),
    undo="The earlier value can be set again (config.change).",
    protected=frozenset({"service"}),
    undo_type="config.change",
)

ACTION_TYPES = (CONFIG_CHANGE,)


_SETTING = "/services/{service}/config/{key}"


def _undo(params: JsonObject, receipt: Receipt) -> Action:
    earlier = receipt.pre_image.get("value")
    if not isinstance(earlier, str):
        raise cannot_undo("The change system did not tell the earlier value.")
    return Action(
        "config.change",
        {"service": params["service"], "key": params["key"], "value": earlier},
    )


SYSTEM = HttpSystem(
    system="changes",
    lookup_path="/changes",
    key_window_seconds=24 * 3600,
    exchanges={
        "config.change": Exchange(
            method="PUT",
            path=_SETTING,
            body=lambda params: {"value": params["value"]},
            read_path=_SETTING,
            state=lambda answer, params: record_of(answer, "value"),
            wanted=lambda params: {"value": params["value"]},
            undo=_undo,
            summary=lambda params: (
                f"{text(params, 'key')} of {text(params, 'service')} "
                f"is {quoted(text(params, 'value'))}."
            ),
            evidence=(EvidenceRead("source_record", "Service {service}", "/services/{service}"),),
        ),
    },
)
