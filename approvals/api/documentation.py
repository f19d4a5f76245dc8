"""The text at the top of the documentation page, and request examples for each action type."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings

from approvals.api.parsers import MAX_BYTES, MAX_DEPTH, MAX_KEYS
from approvals.api.waiting import LONGEST_WAIT
from approvals.choices import State
from approvals.selectors.outcomes import OUTCOME_OF
from audit.lib.canonical import JsonObject
from connectors.catalogue import ActionType
from connectors.registry import action_types

PROBLEM_CODES = {
    "malformed_request": "The request cannot be read (a NUL, say).",
    "malformed_json": "The body is not JSON.",
    "wrong_charset": "Bodies are UTF-8.",
    "too_deep": f"Nested deeper than {MAX_DEPTH} levels.",
    "too_many_keys": f"More than {MAX_KEYS} keys or items.",
    "duplicate_key": "A key appears twice in one object.",
    "number_out_of_range": "A number that JSON cannot carry exactly.",
    "nul_in_text": "Text with a NUL.",
    "surrogate_in_text": "Text with half a character.",
    "body_too_large": f"More than {MAX_BYTES} bytes.",
    "invalid_request": "Fields of a wrong shape, or a query parameter nobody knows: `errors`.",
    "invalid_proposal": "Fields of a wrong meaning, all of them at once: `errors`.",
    "idempotency_key_missing": "Proposals need an Idempotency-Key.",
    "idempotency_key_invalid": "1 to 200 printable ASCII characters without spaces.",
    "idempotency_mismatch": "That key was used for another body: use a new one for a new action.",
    "in_progress": "The first call with that key is not over: try again after `Retry-After`.",
    "bad_wait": "`wait` is a number of seconds.",
    "bad_cursor": "`after` is a cursor from an earlier answer.",
    "not_authenticated": "The key is missing, wrong, expired or revoked.",
    "tokens_only": "The agent signs in with tokens: its keys do not count.",
    "token_malformed": "The token is no signed JWT with iss, iat, exp, aud and sub.",
    "token_algorithm": "Tokens are signed with RS256, ES256 or EdDSA, and nothing else.",
    "token_issuer": "No agent signs in with tokens of that issuer.",
    "token_key": "The issuer has no such key; new ones are seen within a minute.",
    "token_signature": "The signature is not the issuer's.",
    "token_expired": "The token has expired.",
    "token_not_yet_valid": "The token is not valid yet.",
    "token_too_long_lived": "The token lives for longer than an hour.",
    "token_audience": "The token is for another audience, or for several.",
    "token_claims": "The token's claims are not those of any agent.",
    "action_not_allowed": "This agent may not propose that action type.",
    "paused": "A pause covers it; `resumed_by` says who can end it.",
    "opened_by_person": "A person opened that request: only people answer for it.",
    "wrong_origin": "A page in a browser may not speak to /mcp/.",
    "not_found": "There is no such address, or no such record of yours.",
    "executed_by_countersign": "Countersign carries it out: there is nothing to redeem.",
    "not_approved": "There is no grant to redeem: it is not approved, or not any more.",
    "not_now": "Approved, and it may not begin yet: a window, a freeze, a recall, a start.",
    "drift": "It is no longer as it was approved: it went back to people, or was denied.",
    "invalid_denial_binding": "AuthZEN: the denial is not one of exactly this, to this agent.",
    "expired_denial": "AuthZEN: the denial is too old, evaluate again.",
    "duplicate_request": "AuthZEN: that Idempotency-Key was used for another request.",
    "grant_consumed": "The grant has been redeemed, by another redeemer or too long ago.",
    "grant_expired": "Nobody redeemed the grant in time.",
    "outcome_unknown": "It may have been done before a restore: people find out.",
    "not_redeemed": "There is nothing to report on.",
    "wrong_fence": "The report's fence is not the grant's; it is kept and changes nothing.",
    "late_report": "The time to report was over; it is kept, and people find out.",
    "already_reported": "You reported something else before; it is kept and changes nothing.",
    "wrong_state": "The request has moved on, or time ran out.",
    "not_reversible": "Nothing undoes it.",
    "method_not_allowed": "That address takes other methods.",
    "not_acceptable": "Answers are JSON.",
    "unsupported_media_type": "Bodies are application/json.",
    "throttled": "Too many calls: try again after `Retry-After`.",
    "digest_mismatch": "What is stored is not what was approved: nothing is done with it.",
    "signature_required": "The agent signs what it sends (RFC 9421), and this is not signed.",
    "signature_key": "The agent has no such signing key.",
    "signature_incomplete": "The signature leaves something out, or has no proper nonce.",
    "signature_invalid": "The signature does not hold.",
    "signature_expired": "The signature is older than 300 seconds, or not of now.",
    "signature_replayed": "The nonce has been used: sign again with a new one.",
    "issuer_unavailable": "The issuer's keys cannot be fetched: try again after `Retry-After`.",
    "unavailable": "The database does not answer: try again after `Retry-After`, same key.",
    "internal_error": "A mistake of ours: nothing was half done.",
}
"""What `code` of a problem says, for machines to act on."""


STATES = {
    State.REQUESTED: "Stored; the target has not answered yet.",
    State.CLASSIFIED: "Its kind, target and reversibility are fixed.",
    State.EVIDENCE_COLLECTED: "The target has been read.",
    State.POLICY_CHECKED: "Policy has spoken.",
    State.PENDING_APPROVAL: "People must decide.",
    State.CHANGES_REQUESTED: "A reviewer asks; the reviewers' clock stands still, yours runs.",
    State.APPROVED: "People approved it or policy allowed it; it has not begun.",
    State.EXECUTING: "It is being carried out.",
    State.EXECUTED: "The target gave a receipt; the effect is read back where that is possible.",
    State.OUTCOME_UNKNOWN: "A call went out and no trustworthy answer came back.",
    State.VERIFIED: "Read back as approved; a person may still have to sign it off.",
    State.VERIFICATION_FAILED: "What is there is not what was approved, or cannot be read.",
    State.AUDITED: "Closed.",
    State.DENIED: "Policy said no.",
    State.REJECTED: "A person said no.",
    State.WITHDRAWN: "Its proposer took it back.",
    State.EXPIRED: "Time ran out; nobody said no.",
    State.FAILED: "Approved, and definitely not done.",
    State.RESOLVED: "A person found out what happened.",
    State.COMPENSATED: "Done, and undone by a request of its own.",
}
"""What each state says to an agent."""


def describe(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Put the quick start on top of the OpenAPI document, and examples where they belong."""
    result["info"]["description"] = _description()
    proposals = _examples()
    for path in ("/api/v1/actions/", "/api/v1/actions/check/"):
        content = result["paths"][path]["post"]["requestBody"]["content"]
        content["application/json"]["examples"] = proposals
    return result


def example_of(kind: ActionType) -> JsonObject:
    """A proposal of that kind."""
    return {
        "action_type": kind.key,
        "params": kind.example,
        "intent": "Say why, in a sentence or two.",
    }


def _examples() -> dict[str, JsonObject]:
    return {
        kind.key: {"summary": kind.title, "value": example_of(kind)}
        for kind in action_types()
        if kind.example
    }


def _description() -> str:
    rates = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
    states = "\n".join(
        f"| `{state.value}` | {_outcome(state)} | {meaning} |" for state, meaning in STATES.items()
    )
    codes = "\n".join(f"| `{code}` | {meaning} |" for code, meaning in PROBLEM_CODES.items())
    return _TEXT.format(
        base=settings.BASE_URL,
        body=json.dumps(example_of(_first()), indent=2),
        gate=_GATE,
        states=states,
        codes=codes,
        rate=rates["agent"],
        wait=int(LONGEST_WAIT),
        kibibytes=MAX_BYTES // 1024,
        depth=MAX_DEPTH,
        keys=MAX_KEYS,
    )


def _outcome(state: State) -> str:
    return f"`{OUTCOME_OF[state]}`" if state in OUTCOME_OF else "`done` or `refused`"


def _first() -> ActionType:
    """What the quick start proposes."""
    known = [kind for kind in action_types() if kind.example]
    return next((kind for kind in known if kind.key == "refund.issue"), known[0])


_GATE = """\
cs = Countersign()


def settled(a):
    with suppress(Unsettled):
        return cs.settle(a, within=PATIENCE).message
    while (a := cs.get(a.id)).outcome == "open":
        interrupt(a.message)  # the process may end here; people take days
    return f"{a.message} {a.question or ''} Request {a.id}."


# in the tool, instead of the call that acted
key = idempotency_key("langgraph", config["configurable"]["thread_id"], call)
return settled(cs.propose("refund.issue", params, intent=why, key=key))
"""

_TEXT = """\
Propose bounded actions; people with the authority decide; Countersign carries out exactly what
was approved, at most once, and reads it back.

## Quick start

1. An agent owner registers your agent in the admin and gives you its key. Where an issuer vouches
   for your workload (CI, Kubernetes, a cloud), ops admins register its tokens instead: send one,
   made for the audience they registered and an hour long at most, as the Bearer token.
2. Propose, with a key of your own for this one action; the same key again is the same request:

```sh
curl -sS {base}/api/v1/actions/ \\
  -H "Authorization: Bearer $KEY" -H 'Idempotency-Key: ticket-4711' \\
  -H 'Content-Type: application/json' -d '{body}'
```

3. Read `outcome`. `open`: not done yet; ask again after `poll_after` seconds, or let
   `GET /api/v1/actions/{{id}}/?wait={wait}` wait for you. `needs_agent`: a reviewer asks
   (`question`); answer with `POST …/answer/`. `done`. `refused`: nothing was done. `unclear`:
   people find out; never repeat it. `message` says all that in a paragraph you can hand to a model.
4. Many requests, or a restart in between: `GET /api/v1/actions/changes/?after=<cursor>&wait=25`
   tells whatever changed, for all of them.
5. What you carry out yourself (`execution: agent` in the list of action types) is yours to do once
   it is approved: `POST …/redeem/` with a nonce gives you the grant, once. Do exactly its `params`,
   then `POST …/report/` with its `fence` before `not_after`. No report in time is an incident.
6. Where your agent has to sign, each message that is no GET carries a signature (RFC 9421, Ed25519)
   of `@method`, `@target-uri`, `content-digest` and, if sent, `idempotency-key`, with `created`,
   `keyid` and a new `nonce`. It counts for 300 seconds, once.
7. A reviewer may have changed what you proposed: `params` and `effect` say what counts.

The same over MCP is at `{base}/mcp/`. What Countersign promises, with its proofs and its limits,
is at [{base}/api/v1/claims/]({base}/api/v1/claims/).

## An agent with a framework

`GET /api/v1/client/` is a Python client in one file, on httpx. What waits for people is suspended,
kept by the framework, and found again by its key, even if the process was killed in between.
In LangGraph these nine lines gate an agent:

```python
{gate}```

The repository has that agent whole in `tests/agents/examples`, and one each over plain HTTP, with
the official MCP client, the OpenAI Agents SDK, Pydantic AI, Google ADK and Microsoft Agent
Framework.

## States

| state | outcome | means |
|---|---|---|
{states}

## Problems

Errors are `application/problem+json` (RFC 9457) with a stable `code`.

| code | means |
|---|---|
{codes}

## Limits

- {rate} calls per agent; then 429 with `Retry-After`.
- Bodies of up to {kibibytes} KiB, {depth} levels and {keys} keys. Unknown fields and unknown
  query parameters are refused.
- One wait per agent at a time, up to {wait} seconds. When no place is free the answer comes at
  once, with `Countersign-Waited: no` and `Retry-After`.
- Money is a decimal string with exactly the currency's decimals: `"20.00"`, never a number.
- Times are RFC 3339 with an offset.
"""
