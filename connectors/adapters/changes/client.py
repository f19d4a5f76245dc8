"""The change system's HTTP interface: one setting is one resource."""

from __future__ import annotations

from audit.canonical import JsonObject
from connectors.adapters.http.actions import EvidenceRead, Exchange, HttpSystem, record_of
from connectors.base import Action, Receipt
from connectors.dispatch import cannot_undo
from connectors.wording import quoted, text

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
