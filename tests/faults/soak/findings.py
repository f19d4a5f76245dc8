"""What became of every action: the product's rows against the outside systems' own account."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from approvals.choices import AttemptOutcome, State
from approvals.domain.attempts import provider_key
from approvals.models import ActionRequest, Attempt, Decision, Execution, Grant
from audit.events import AuditCode
from audit.lib.canonical import digest
from audit.models import AuditEvent
from connectors.registry import action_type
from connectors.sandbox.records import records_effects
from tests.faults.soak.actions import Planned
from tests.faults.soak.load import Load
from tests.faults.soak.stack import SANDBOX, Stack

_HAPPENED = frozenset({State.EXECUTED, State.VERIFIED, State.AUDITED, State.COMPENSATED})
_DID_NOT = frozenset({State.FAILED, State.DENIED, State.REJECTED, State.WITHDRAWN, State.EXPIRED})
_ON_ITS_WAY = frozenset(
    {
        State.REQUESTED,
        State.CLASSIFIED,
        State.EVIDENCE_COLLECTED,
        State.POLICY_CHECKED,
        State.PENDING_APPROVAL,
        State.APPROVED,
        State.EXECUTING,
    }
)
COLUMNS = (
    "actions",
    "executed",
    "duplicates",
    "lost",
    "untrue",
    "other digest",
    "answer lost",
    "repeated",
    "read",
    "waiting",
    "failed",
)


@dataclass(slots=True)
class Findings:
    """Counts per proof, and every row that must not be, in words."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    waiting: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.wrong

    def table(self) -> str:
        """One line per proof."""
        rows = [(name, self.counts[name]) for name in sorted(self.counts)]
        total: Counter[str] = sum((count for _, count in rows), Counter())
        widths = [max(len(name), 6) for name in COLUMNS]
        first = max(len("proof"), *(len(name) for name in self.counts), 5)
        lines = [_line("proof", first, zip(COLUMNS, widths, strict=True))]
        for name, count in (*rows, ("all", total)):
            cells = zip((str(count[column]) for column in COLUMNS), widths, strict=True)
            lines.append(_line(name, first, cells))
        return "\n".join(lines)


def _line(name: str, first: int, cells: Iterable[tuple[str, int]]) -> str:
    return "  ".join([name.ljust(first), *(text.rjust(width) for text, width in cells)])


def proof_of(key: str) -> str:
    """The proof of that action type, and whether what was lost can be looked up."""
    promise = action_type(key).at_most_once
    return f"{promise.proof.value}, {'looked up' if promise.can_look_up else 'no look-up'}"


def examine(stack: Stack, load: Load) -> Findings:
    """Compare what the product says with what really happened, action by action."""
    found = Findings()
    effects = _Effects(stack)
    rows = {one.pk: one for one in ActionRequest.objects.filter(pk__in=load.accepted)}
    found.states = Counter(one.state for one in rows.values())
    calls, events = _calls(), _events()
    for pk, planned in load.accepted.items():
        count = found.counts[proof_of(planned.kind.key)]
        count["actions"] += 1
        if pk not in rows:
            count["lost"] += 1
            found.wrong.append(f"{planned.kind.key} {pk}: accepted, and there is no row")
            continue
        _look_at(rows[pk], planned, effects.of(rows[pk], planned), count, found)
        _outcome(rows[pk], calls[pk], events[str(pk)], count, found)
    _digests(load, rows, found)
    return found


def _look_at(
    request: ActionRequest, planned: Planned, times: int, count: Counter[str], found: Findings
) -> None:
    name = f"{planned.kind.key} {request.pk} ({request.state})"
    if times > 1:
        count["duplicates"] += times - 1
        found.wrong.append(f"{name}: happened {times} times")
    if request.state in _HAPPENED:
        count["executed"] += 1
        if not times:
            count["lost"] += 1
            found.wrong.append(f"{name}: said to be done, and it is nowhere")
    if request.state in _ON_ITS_WAY:
        count["lost"] += 1
        found.wrong.append(f"{name}: still on its way; {times} effects")
    if request.state in _DID_NOT:
        count["failed"] += 1
        if times:
            count["untrue"] += 1
            found.wrong.append(f"{name}: said not to have happened, and it did")


def _outcome(
    request: ActionRequest,
    calls: list[str],
    events: list[tuple[str, str]],
    count: Counter[str],
    found: Findings,
) -> None:
    """How it ended where an answer was lost, or the worker that waited for it."""
    if request.state in (State.OUTCOME_UNKNOWN, State.VERIFICATION_FAILED):
        count["waiting"] += 1
        found.waiting.append(f"{request.action_type} {request.pk} ({request.state}): {calls}")
    if not {AttemptOutcome.UNKNOWN, AttemptOutcome.LEASE_EXPIRED} & set(calls):
        return
    count["answer lost"] += 1
    if request.state not in _HAPPENED:
        return
    codes = {code for code, _ in events}
    ways = [data for code, data in events if code == AuditCode.EXECUTION_RETRIED]
    was_read = {AuditCode.EFFECT_FOUND, AuditCode.OUTCOME_UNKNOWN} & codes or (
        ways and json.loads(ways[-1]).get("way") == "read"
    )
    count["read" if was_read else "repeated"] += 1


def _calls() -> dict[UUID, list[str]]:
    found: dict[UUID, list[str]] = defaultdict(list)
    rows = Attempt.objects.order_by("execution_id", "fence")
    for request_id, outcome in rows.values_list("execution__request_id", "outcome"):
        found[request_id].append(outcome)
    return found


def _events() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    codes = (AuditCode.EFFECT_FOUND, AuditCode.OUTCOME_UNKNOWN, AuditCode.EXECUTION_RETRIED)
    rows = AuditEvent.objects.filter(code__in=[code.value for code in codes]).order_by("pk")
    for subject, code, data in rows.values_list("subject_id", "code", "data"):
        found[subject].append((code, data))
    return found


def _digests(load: Load, rows: Mapping[UUID, ActionRequest], found: Findings) -> None:
    """What was on the page, what was approved and what was called out with are the same bytes."""
    begun = {
        (subject, json.loads(data)["provider_key"]): json.loads(data)["digest"]
        for subject, data in AuditEvent.objects.filter(
            code=AuditCode.EXECUTION_BEGUN.value
        ).values_list("subject_id", "data")
    }
    approved = defaultdict(set)
    for one in Decision.objects.filter(request_id__in=rows):
        approved[one.request_id, one.version].add(one.digest)
    for execution in Execution.objects.select_related("grant", "request"):
        request, grant = execution.request, execution.grant
        planned = load.accepted.get(request.pk)
        if planned is None:
            found.wrong.append(f"{request.action_type} {request.pk}: carried out, never proposed")
            continue
        page, shown = load.shown.get((request.pk, grant.version), ("", ""))
        digests = {
            shown,
            digest(page),
            grant.digest,
            begun.get((str(request.pk), execution.provider_key), ""),
            *approved[request.pk, grant.version],
        }
        is_same = len(digests) == 1
        is_its_key = execution.provider_key == provider_key(request, grant.version, grant.digest)
        is_proposed = bool(page) and json.loads(page)["params"] == planned.params
        if not (is_same and is_its_key and is_proposed):
            found.counts[proof_of(planned.kind.key)]["other digest"] += 1
            found.wrong.append(
                f"{request.action_type} {request.pk}: shown, approved and executed differ"
            )


class _Effects:
    """What really happened, by key in the sandbox and by target at the vendors' doubles."""

    def __init__(self, stack: Stack) -> None:
        stores = stack.stores()
        self._by_key: Counter[str] = Counter()
        for name in SANDBOX:
            self._by_key.update(one["idempotency_key"] for one in stores[name].effects(name))
        records = records_effects(stack.env["RECORDS_URL"])
        self._by_key.update(one["idempotency_key"] for one in records)
        self._asked = {
            name: [json.dumps(one["detail"]) for one in stores[name].effects(name)]
            for name in stack.ports
        }

    def of(self, request: ActionRequest, planned: Planned) -> int:
        if planned.kind.system in self._asked:
            return sum(planned.token in asked for asked in self._asked[planned.kind.system])
        keys = Grant.objects.filter(request=request).values_list("version", "digest")
        times = 0
        for version, of_grant in set(keys):
            key = provider_key(request, version, of_grant)
            times += self._by_key[key] + self._by_key[_message_id(key)]
        return times


def _message_id(key: str) -> str:
    """A mail's key out there is its Message-ID."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@retailer.example>"
