"""Agents that propose every kind of action, and people who decide, all through the front door."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg

from approvals.demo.client import AgentClient, PersonClient
from tests.faults.chaos.stack import Stack

_AGAIN_AFTER = 0.5  # seconds, when the product answers that it cannot just now
_BETWEEN_PROPOSALS = 1.2
_BETWEEN_LOOKS = 0.5


class Load:
    """Two threads: one proposes, one decides. `pause` and `go_on` make the stack idle and busy."""

    def __init__(self, stack: Stack, dice: random.Random) -> None:
        self._stack = stack
        self._dice = dice
        self._stopping = threading.Event()
        self._going = threading.Event()
        self._threads = [
            threading.Thread(target=self._until_told, args=(work,), name=name)
            for name, work in (("agents", self._agents()), ("people", self._people()))
        ]
        self.accepted: dict[str, str] = {}
        """Every id the product answered a proposal with, and its action type."""
        self.refusals: Counter[str] = Counter()
        """What else it answered: a status, or how the connection ended."""
        self._errors: list[BaseException] = []

    def start(self) -> None:
        self._going.set()
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        self._going.clear()

    def go_on(self) -> None:
        self._going.set()

    def stop(self) -> None:
        self._stopping.set()
        self._going.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _until_told(self, steps: Iterator[None]) -> None:
        try:
            for _ in steps:
                if self._stopping.is_set():
                    return
                self._going.wait()
        except BaseException as error:  # raised again by `stop`, in the thread that reports
            self._errors.append(error)

    def _agents(self) -> Iterator[None]:
        demo = self._stack.demo
        agents = {
            kind: AgentClient(demo["base_url"], agent["key"])
            for agent in demo["agents"]
            for kind in agent["action_types"]
        }
        for number in itertools.count():
            kind, params = self._proposal(number)
            body = {
                "action_type": kind,
                "params": params,
                "intent": f"Case {number} of the chaos run.",
                "confidence": 0.95,
                "evidence": _EVIDENCE.get(kind, []),
            }
            yield from self._propose(agents[kind], body, key=f"chaos-{number}")
            yield from _rest(_BETWEEN_PROPOSALS)

    def _propose(self, agent: AgentClient, body: dict[str, Any], *, key: str) -> Iterator[None]:
        """The same key until there is an answer, as a well-behaved agent does."""
        while True:
            try:
                answer = agent.propose(body, key=key)
            except (httpx.HTTPStatusError, httpx.TransportError) as error:
                self.refusals[f"{_cause(error)} to a proposal"] += 1
                if isinstance(error, httpx.HTTPStatusError) and not _may_pass(error.response):
                    raise AssertionError(error.response.text) from error
            else:
                self.accepted[answer["id"]] = body["action_type"]
                return
            yield from _rest(_AGAIN_AFTER)

    def _proposal(self, number: int) -> tuple[str, dict[str, Any]]:
        """Something of every kind; the number makes each different from all before."""
        dice = self._dice
        shopper = dice.randrange(1002, 1036)
        place = dice.randrange(1, 11)
        kinds: tuple[tuple[str, dict[str, Any]], ...] = (
            (
                "refund.issue",
                {
                    "charge": f"ch_{shopper}",
                    "amount": f"0.{number % 90 + 10}",
                    "currency": "EUR",
                    "reason": f"damaged, case {number}",
                },
            ),
            (
                "email.send",
                {
                    "to": f"customer{shopper}@mail.example",
                    "subject": f"Your order, case {number}",
                    "body": "Dear customer,\nit is on its way.\n",
                },
            ),
            ("draft.reply", {"ticket": f"tick_{4000 + place}", "body": f"Draft {number}."}),
            (
                "crm.update",
                {"record": f"acct_{2000 + shopper - 1000}", "fields": {"notes": f"Case {number}."}},
            ),
            ("crm.tag", {"record": f"acct_{2000 + shopper - 1000}", "tag": f"case-{number}"}),
            (
                "vendor.pay",
                {
                    "vendor": dice.choice(["acct_5001", "acct_5002"]),
                    "amount": f"{number % 40 + 1}.00",
                    "currency": "EUR",
                    "invoice": f"INV-CHAOS-{number}",
                    "purchase_order": f"PO-{number}",
                },
            ),
            (
                "access.grant",
                {
                    "user": dice.choice(["mia.keller", "jonas.weber", "leila.amari"]),
                    "group": dice.choice(["warehouse-readers", "crm-editors"]),
                    "until": f"2027-{number % 12 + 1:02}-{number % 28 + 1:02}",
                },
            ),
            (
                "access.revoke",
                {"user": dice.choice(["mia.keller", "jonas.weber"]), "group": "crm-editors"},
            ),
            (
                "config.change",
                {"service": "checkout", "key": "max_items", "value": str(50 + number)},
            ),
            (
                "order.correct",
                {"order": f"ord_{3000 + place}", "fields": {"quantity": number % 999 + 1}},
            ),
            (
                "shipment.reroute",
                {
                    "shipment": f"shp_{6000 + place}",
                    "depot": dice.choice(["BER-1", "HAM-2", "MUC-1", "CGN-3"]),
                    "reason": f"Case {number}.",
                },
            ),
            ("robot.run", {"robot": "robot-2", "task": "move_pallet", "zone": "B"}),
        )
        return kinds[number % len(kinds)]

    def _people(self) -> Iterator[None]:
        demo = self._stack.demo
        passwords = {account["username"]: account["password"] for account in demo["accounts"]}
        groups = {account["username"]: set(account["groups"]) for account in demo["accounts"]}
        signed_in: dict[str, PersonClient] = {}
        for _ in itertools.count():
            for request_id, what, asked in self._waiting():
                names = [name for name in groups if not asked or groups[name] & asked]
                self._dice.shuffle(names)
                for name in names:
                    try:
                        if name not in signed_in:
                            signed_in[name] = PersonClient(demo["base_url"], name, passwords[name])
                        signed_in[name].decide(request_id, what, _ANSWERS.get(what, _FINE))
                    except LookupError:  # not theirs to decide
                        continue
                    except (httpx.HTTPStatusError, httpx.TransportError) as error:
                        self.refusals[f"{_cause(error)} to a person"] += 1
                        if person := signed_in.pop(name, None):
                            person.close()
                    yield
                    break
                yield
            yield from _rest(_BETWEEN_LOOKS)

    def _waiting(self) -> list[tuple[str, str, set[str]]]:
        """What people could do: the request, the form, and the groups that may answer."""
        try:
            decide = self._stack.rows(
                "SELECT a.id, array_agg(r.group) AS groups FROM approvals_actionrequest a "
                "JOIN approvals_requirement r ON r.request_id = a.id AND r.is_open "
                "WHERE a.state = 'pending_approval' GROUP BY a.id ORDER BY a.id LIMIT 50"
            )
            unsupplied = self._stack.rows(
                "SELECT a.id FROM approvals_actionrequest a WHERE a.state = 'pending_approval' "
                "AND a.action_type = 'robot.run' AND NOT EXISTS (SELECT 1 FROM "
                "approvals_evidenceitem e WHERE e.request_id = a.id AND e.origin = 'person')"
            )
            start = self._stack.rows(
                "SELECT a.id FROM approvals_actionrequest a JOIN approvals_grant g "
                "ON g.request_id = a.id AND g.needs_start AND g.started_by_id IS NULL "
                "AND g.revoked_at IS NULL WHERE a.state = 'approved' LIMIT 10"
            )
        except psycopg.OperationalError:  # it is being restarted
            return []
        return [
            *((str(row["id"]), "supply", {"operations"}) for row in unsupplied),
            *((str(row["id"]), "approve", set(row["groups"])) for row in decide),
            *((str(row["id"]), "start", {"operations"}) for row in start),
        ]


_FINE = {"reason_code": "as_proposed", "comment": "Fine."}
_ANSWERS = {
    "supply": {"kind": "hazard_check", "title": "Zone B", "text": "Nobody is there.", "uri": ""}
}
_EVIDENCE = {
    kind: [{"kind": name, "title": name, "excerpt": "Nothing speaks against it."} for name in names]
    for kind, names in {
        "access.grant": ["risk_analysis"],
        "access.revoke": ["risk_analysis"],
        "config.change": ["risk_analysis", "test_result"],
        "robot.run": ["manual_override"],
    }.items()
}
"""What the default policy demands of an agent for these."""


def _cause(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return str(error.response.status_code)
    return type(error).__name__


def _may_pass(answer: httpx.Response) -> bool:
    """Whether the product said to come again, or could not say anything."""
    return answer.status_code in (409, 429, 502, 503, 504)


def _rest(seconds: float) -> Iterator[None]:
    time.sleep(seconds)
    yield
