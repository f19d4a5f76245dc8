"""A command hook for Claude Code: no shell command runs before people have agreed to it.

Standard library alone, to be run as a file: `python3 .../countersign/hook.py`. One thing lets a
command run: a grant of Countersign's for exactly that command, redeemed here, once. Whatever else
happens ends with exit code 2, the only one that blocks: any other lets it run. So nothing that may
fail stands outside `main`, and the syntax is one that old Pythons know.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Json = dict[str, Any]

KNOWN = {"command", "description", "timeout", "run_in_background"}
MOST_RUNS = 50  # of one command in one session
BLOCKED = 2


class Blocked(Exception):
    """Why nothing runs, for the model to read."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """The key goes to nobody else."""


def seconds() -> float:
    """In all. The hook's `timeout` in the settings must be longer: one that is late is ignored."""
    return float(os.environ.get("COUNTERSIGN_HOOK_SECONDS") or 40)


def call(method: str, path: str, body: Json | None = None, **headers: str) -> tuple[Json, Any]:
    """One call and its answer; the headers, too. Raises Blocked for a refusal."""
    url = os.environ["COUNTERSIGN_URL"].rstrip("/") + "/api/v1/" + path
    request = urllib.request.Request(  # noqa: S310 - the address is the installation's own
        url, None if body is None else json.dumps(body).encode(), method=method
    )
    request.add_header("Authorization", "Bearer " + os.environ["COUNTERSIGN_KEY"])
    request.add_header("Content-Type", "application/json")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=seconds()) as answer:
            return json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        try:
            told = dict(json.load(error))
        except (TypeError, ValueError):
            told = {}
        code, detail = told.get("code", error.code), told.get("detail", "")
        raise Blocked(f"Countersign refused ({code}). {detail}") from None


def digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()


def place_of(event: Json) -> str:
    """Where the grant of this one call is kept until its end is reported."""
    folder = os.environ.get("COUNTERSIGN_HOOK_STATE") or os.path.expanduser("~/.countersign")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return os.path.join(folder, digest(event["session_id"], event["tool_use_id"]) + ".json")


def before(event: Json) -> Json:
    """The answer that lets the command run. Raises Blocked, and anything at all."""
    asked = event["tool_input"]
    if event["tool_name"] != "Bash":
        raise Blocked("This hook knows the tool Bash alone; {}.".format(event["tool_name"]))
    if unknown := sorted(set(asked) - KNOWN):
        raise Blocked("Leave out what nobody could agree to: {}.".format(", ".join(unknown)))
    host = os.environ.get("COUNTERSIGN_HOST") or socket.gethostname()
    params = {"command": asked["command"], "directory": event["cwd"], "host": host}
    action = _waited_for(_open_request(event, params))
    if action["outcome"] == "open":
        raise Blocked(
            "Waiting for approval, request {}. NOT done. End your turn; once people have decided, "
            "call exactly this again.".format(action["id"])
        )
    if action["outcome"] != "needs_agent" or action["state"] != "approved":
        raise Blocked("{} Request {}.".format(action["message"], action["id"]))
    place = place_of(event)
    nonce = digest("redeemer", event["session_id"], event["tool_use_id"])
    with open(place, "w", encoding="utf-8") as kept:  # first: what cannot be reported does not run
        json.dump({"id": action["id"]}, kept)
    told, _ = call("POST", "actions/{}/redeem/".format(action["id"]), {"redeemer": nonce})
    grant = told["grant"]
    with open(place, "w", encoding="utf-8") as kept:
        json.dump({"id": action["id"], "fence": grant["fence"]}, kept)
    agreed = dict(grant["params"])
    command = agreed.pop("command")
    if agreed != {"directory": event["cwd"], "host": host}:
        _report(place, "failed")
        raise Blocked(f"People agreed to another place: {agreed}. Nothing ran.")
    return {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": "allow",
            "permissionDecisionReason": "Approved, request {}.".format(action["id"]),
            "updatedInput": {**asked, "command": command},
        }
    }


def _open_request(event: Json, params: Json) -> Json:
    """The request for this command that has not been carried out yet: found, or proposed."""
    intent = str(event["tool_input"].get("description") or "The agent wants to run this.")
    body = {"action_type": "command.run", "params": params, "intent": intent[:1000]}
    for run in range(MOST_RUNS):
        key = digest("hook", event["session_id"], sorted(params.items()), run)
        action, headers = call("POST", "actions/", body, Idempotency_Key=key)
        if action["outcome"] != "done" or headers.get("Idempotency-Replayed") != "true":
            return action
    raise Blocked(f"This very command has run {MOST_RUNS} times in this session.")


def _waited_for(action: Json) -> Json:
    """The request after as long as the hook may take."""
    ends = time.monotonic() + seconds() / 2
    while action["outcome"] == "open" and (left := ends - time.monotonic()) > 1:
        path = "actions/{}/?wait={}".format(action["id"], int(min(left, 25)))
        action, headers = call("GET", path)
        if headers.get("Countersign-Waited") == "no":
            time.sleep(min(left, 2))
    return action


def after(event: Json) -> None:
    """Report what came of the call; nothing where it was none of ours."""
    place = place_of(event)
    if not os.path.exists(place):
        return
    if event["hook_event_name"] != "PostToolUse":
        _report(place, "unknown")
        return
    _report(place, "done", receipt="sha256:" + digest(event.get("tool_response")))


def _report(place: str, outcome: str, **told: str) -> None:
    with open(place, encoding="utf-8") as kept:
        held = json.load(kept)
    body = {"fence": held["fence"], "outcome": outcome, **told}
    call("POST", "actions/{}/report/".format(held["id"]), body)
    os.remove(place)


def _too_late(*_: Any) -> None:
    raise Blocked("Countersign took too long. NOT done; call exactly this again later.")


def main() -> int:
    """Read one event; 0 with an answer that allows, or 2."""
    try:
        signal.signal(signal.SIGTERM, _too_late)
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, _too_late)
            signal.setitimer(signal.ITIMER_REAL, seconds())
        event = json.load(sys.stdin)
        if event["hook_event_name"] == "PreToolUse":
            answer = json.dumps(before(event))
            sys.stdout.write(answer)
            sys.stdout.flush()
        else:
            after(event)
    except BaseException as error:
        sys.stderr.write(f"Not allowed. {type(error).__name__}: {error}\n")
        sys.stderr.flush()
        return BLOCKED
    return 0


if __name__ == "__main__":
    ended = BLOCKED
    try:
        ended = main()
    finally:
        os._exit(ended)  # not even a pipe that broke makes another code of it
