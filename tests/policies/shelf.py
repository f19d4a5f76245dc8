"""Past cases for tests: what a deployment keeps in its own tables, as a `PastCases`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime

from audit.lib.canonical import canonical
from policies.evaluate import evaluate
from policies.replay.backtest import PastCase, Said
from policies.verdicts import Verdict
from tests.policies.make import SMALL, changed, make_document, make_facts

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
STRICTER = changed(SMALL, ("amount <= 100", "amount <= 50"), ("amount > 100", "amount > 50"))
LOOSER = changed(SMALL, ("amount <= 100", "amount <= 400"), ("amount > 100", "amount > 400"))


def make_past(number: int, amount: int, *, agent: str = "bot", **said: object) -> PastCase:
    """A request SMALL evaluated, unless something else was said."""
    facts = make_facts(
        action__type="refund.issue",
        action__amount=amount,
        action__currency="EUR",
        action__amount_base=amount,
        agent__name=agent,
    )
    answer = Said.of(evaluate(make_document(), facts, version="x"))
    values = {name: said.get(name, getattr(answer, name)) for name in Said.__slots__}
    return PastCase(
        f"request-{number}",
        canonical(facts.flat()),
        Said(**values),
        NOON,  # type: ignore[arg-type]
    )


CASES = [make_past(number, number * 25) for number in range(20)]

BATCH = 7
cases: list[PastCase] = []
held: Mapping[str, Verdict] = {}


def how_many(most: int) -> int:
    return min(most, len(cases))


def newest(most: int) -> Iterator[Sequence[PastCase]]:
    found = cases[:most]
    for start in range(0, len(found), BATCH):
        yield found[start : start + BATCH]


def newly_within(
    action_type: str, currency: str, *, above: int, up_to: int, groups: Set[str]
) -> int:
    return 0


def laid_over(subject_ids: Sequence[str]) -> Mapping[str, Verdict]:
    return {name: verdict for name, verdict in held.items() if name in subject_ids}
