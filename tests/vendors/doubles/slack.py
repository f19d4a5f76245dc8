"""Slack: channels with messages and members; refusals are answered with 200 and ok=false."""

from __future__ import annotations

from typing import Any, ClassVar

from connectors.base import Receipt
from connectors.sandbox.store import Json
from connectors.sandbox.web import Refusal
from tests.vendors.cases import Case
from tests.vendors.double import TEXT, Call, Route, Said, Vendor, closed

_CHANNEL, _PERSON, _OLD = "C0123456789", "U0123456789", "1795341600.000100"
_METADATA = closed({"event_type": TEXT, "event_payload": {"type": "object"}})
_POST = closed(
    {"channel": TEXT, "text": TEXT},
    {
        "parse": {"enum": ["none", "full"]},
        "mrkdwn": {"type": "boolean"},
        "unfurl_links": {"type": "boolean"},
        "unfurl_media": {"type": "boolean"},
        "metadata": _METADATA,
    },
)
_UPDATE = closed(
    {"channel": TEXT, "ts": TEXT, "text": TEXT},
    {"parse": {"enum": ["none", "full"]}, "metadata": _METADATA},
)
_HISTORY = ("channel", "latest", "oldest", "inclusive", "limit", "include_all_metadata")


def _ok(**values: Any) -> Said:
    return 200, {"ok": True, **values}


def _given_back(text: str) -> str:
    """As Slack gives text back."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _channel(call: Call, name: str) -> Json:
    found = call.store.get("channel", name)
    if found is None:
        raise Refusal(200, "channel_not_found", "")
    return found


def _post(call: Call) -> Said:
    if _channel(call, call.form["channel"])["is_archived"]:
        raise Refusal(200, "is_archived", "")
    ts = f"1795345200.{call.store.next_number('message'):06}"
    message = {"type": "message", "ts": ts, "text": _given_back(call.form["text"])}
    if "metadata" in call.form:
        message["metadata"] = call.form["metadata"]
    call.store.put("message", ts, {"channel": call.form["channel"], "message": message})
    call.applied("message.post", call.form["channel"])
    return _ok(channel=call.form["channel"], ts=ts, message=message)


def _update(call: Call) -> Said:
    found = call.store.get("message", call.form["ts"])
    if found is None:
        raise Refusal(200, "message_not_found", "")
    changed = {**found["message"], "text": _given_back(call.form["text"])}
    if "metadata" in call.form:
        changed["metadata"] = call.form["metadata"]
    call.change("message", call.form["ts"], message=changed)
    call.applied("message.update", call.form["ts"])
    return _ok(channel=call.form["channel"], ts=call.form["ts"], text=changed["text"])


def _history(call: Call) -> Said:
    _channel(call, call.query["channel"])
    found = [
        dict(one["message"])
        for one in call.store.all("message")
        if one["channel"] == call.query["channel"]
    ]
    if latest := call.query.get("latest"):
        found = [one for one in found if one["ts"] == latest == call.query.get("oldest")]
    if call.query.get("include_all_metadata") != "true":
        for one in found:
            one.pop("metadata", None)
    return _ok(messages=found[: int(call.query.get("limit", "100"))], has_more=False)


def _info(call: Call) -> Said:
    return _ok(channel=_channel(call, call.query["channel"]))


def _person(call: Call) -> Said:
    found = call.store.get("user", call.query["user"])
    if found is None:
        raise Refusal(200, "user_not_found", "")
    return _ok(user=found["user"])


def _joined(call: Call) -> Said:
    found = call.store.get("user", call.query["user"])
    if found is None:
        raise Refusal(200, "user_not_found", "")
    channels = [_channel(call, one) for one in found["channels"]]
    return _ok(channels=channels, response_metadata={"next_cursor": ""})


def _invite(call: Call) -> Said:
    channel, found = (
        _channel(call, call.form["channel"]),
        call.store.get("user", call.form["users"]),
    )
    if found is None:
        raise Refusal(200, "user_not_found", "")
    if channel["id"] in found["channels"]:
        raise Refusal(200, "already_in_channel", "")
    call.change("user", call.form["users"], channels=[*found["channels"], channel["id"]])
    call.applied("channel.invite", channel["id"])
    return _ok(channel=channel)


def _test(call: Call) -> Said:
    return _ok(team="Shop", user="countersign", user_id="U0000000001")


class Slack(Vendor):
    name = "slack"
    credential = "xoxb-0123456789-vendor"
    routes: ClassVar = (
        Route("GET", "/api/auth.test", _test),
        Route("GET", "/api/conversations.info", _info, query=("channel",)),
        Route("GET", "/api/conversations.history", _history, query=_HISTORY),
        Route("GET", "/api/users.info", _person, query=("user",)),
        Route("GET", "/api/users.conversations", _joined, query=("user", "types", "limit")),
        Route("POST", "/api/chat.postMessage", _post, body=_POST),
        Route("POST", "/api/chat.update", _update, body=_UPDATE),
        Route(
            "POST",
            "/api/conversations.invite",
            _invite,
            body=closed({"channel": TEXT, "users": TEXT}),
        ),
    )

    def furnish(self) -> None:
        channel = {"id": _CHANNEL, "name": "shipping", "is_archived": False, "is_private": False}
        self.put("channel", _CHANNEL, channel)
        message = {"type": "message", "ts": _OLD, "text": "The lamps come on Friday."}
        self.put("message", _OLD, {"channel": _CHANNEL, "message": message})
        person = {
            "id": _PERSON,
            "real_name": "Zoë Kamińska",
            "deleted": False,
            "is_restricted": False,
        }
        self.put("user", _PERSON, {"user": person, "channels": []})

    def unknown(self) -> Refusal:
        return Refusal(200, "invalid_auth", "")

    def strange(self, sentence: str) -> Refusal:
        return Refusal(200, "invalid_arguments", sentence)

    def error(self, status: int, code: str, message: str) -> Json:
        return {"ok": False, "error": code, "detail": message}


def _retold(ts: str) -> Any:
    def change(double: Slack, receipt: Receipt | None) -> None:
        name = ts or (receipt.reference if receipt else "")
        message = {**double.object("message", name)["message"], "text": "Something else."}
        double.change("message", name, message=message)

    return change


def _removed(double: Slack, receipt: Receipt | None) -> None:
    double.change("user", _PERSON, channels=[])


CASES = (
    Case(operation="message.post", shows="#shipping", tampered=_retold("")),
    Case(operation="message.update", shows="#shipping", tampered=_retold(_OLD)),
    Case(operation="channel.invite", shows="Zoë Kamińska", tampered=_removed),
)
