"""One agent of each framework, as two processes and more, with people deciding in between."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

from connectors.sandbox.world import SHOPPERS
from tests.agents.conftest import CLIENT
from tests.agents.installation import Installation, an_installation
from tests.faults.processes import ROOT, Program, until
from tests.peers.peer import absent

pytestmark = [pytest.mark.slow, pytest.mark.once]

EXAMPLES = Path(__file__).parent / "examples"
NEEDED = {
    "plain_http": ("plain-http", "httpx"),
    "mcp_client": ("mcp-client", "mcp"),
    "langgraph_agent": ("langgraph", "langgraph.checkpoint.sqlite"),
    "openai_agents": ("openai-agents", "agents"),
    "pydantic_ai_agent": ("pydantic-ai", "pydantic_ai"),
    "microsoft_agent_framework": ("agent-framework", "agent_framework"),
    "google_adk": ("google-adk", "google.adk"),
}
"""Each example's agent, and the package without which it does not run."""

AMOUNT = "260.00"
REJECTED = (f"{amount}.00" for amount in count(261))
"""Another one each time: exactly what a person rejected is not put to people again."""
OK = {"reason_code": "as_proposed", "comment": ""}
NO = {"reason_code": "not_justified", "comment": "The lamp was not ours."}
LESS = {"param-amount": "255.00", "reason_code": "corrected", "comment": ""}
LARGE, *_charges = (shopper.charge for shopper in SHOPPERS if shopper.amount >= 26_000)
_numbers = count(1)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation for most examples: starting it takes longer than most of them."""
    agents = [agent for agent, _ in NEEDED.values()]
    with an_installation(tmp_path_factory.mktemp("installation"), *agents) as running:
        yield running


@pytest.fixture(scope="module")
def second_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Another one: every example pays three charges back, and the first has no more of them."""
    with an_installation(tmp_path_factory.mktemp("second"), "google-adk") as running:
        yield running


@pytest.fixture(scope="module")
def charges_left() -> dict[str, Iterator[str]]:
    """Those nobody has touched, by the address of the installation."""
    return defaultdict(lambda: iter(_charges))


class Example:
    """An example's processes, and what its runs came to."""

    def __init__(
        self, house: Installation, name: str, folder: Path, charges: Iterator[str]
    ) -> None:
        self.house, self.folder, self.charges = house, folder, charges
        self.agent = NEEDED[name][0]
        self.command = [sys.executable, str(EXAMPLES / f"{name}.py")]

    def start(self, tasks: dict[str, str], *, patience: float) -> Program:
        env = {
            "COUNTERSIGN_URL": self.house.url,
            "COUNTERSIGN_KEY": self.house.keys[self.agent],
            "RUNS": str(self.folder / "runs"),
            "PATIENCE": str(patience),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CLIENT),
        }
        named = [f"{run}={task}" for run, task in tasks.items()]
        log = self.folder / f"process-{next(_numbers)}.log"
        return Program([*self.command, *named], env=env, log=log, inherit=False)

    def run(self, tasks: dict[str, str], *, patience: float = 0.3) -> dict[str, str | None]:
        """What each run came to, in a process of its own."""
        program = self.start(tasks, patience=patience)
        assert program.ends() == 0, program.log
        lines = [line for line in program.log.splitlines() if line.startswith("{")]
        return {run: said for line in lines for run, said in json.loads(line).items()}

    def request(self, charge: str) -> dict[str, object]:
        """The one request about that charge; None or two fail."""
        about = [r for r in self.house.requests_of(self.agent) if r["params"]["charge"] == charge]
        (found,) = about
        return found

    def until_over(self, *charges: str) -> None:
        """Wait for the workers, so that no process of the agent has to."""
        until("all is over", lambda: all(self.request(charge)["final"] for charge in charges))

    def killed_once_proposed(self, task: dict[str, str]) -> None:
        """Begin a run, and kill its process while it waits for the result."""
        before = len(self.house.requests_of(self.agent))
        program = self.start(task, patience=600)
        until("it is proposed", lambda: len(self.house.requests_of(self.agent)) > before)
        assert program.is_running, program.log
        program.kill()


@pytest.fixture(params=NEEDED)
def example(
    request: pytest.FixtureRequest, charges_left: dict[str, Iterator[str]], tmp_path: Path
) -> Example:
    package = NEEDED[request.param][1]
    if find_spec(package.partition(".")[0]) is None or find_spec(package) is None:
        absent(f"{package} is not installed (dependency group agents)")
    own = "second_house" if request.param == "google_adk" else "house"
    house: Installation = request.getfixturevalue(own)
    return Example(house, request.param, tmp_path, charges_left[house.url])


def task(charge: str, amount: str = AMOUNT) -> str:
    return f"Refund {charge} {amount} EUR: the lamp arrived broken."


def test_people_decide_while_the_agent_is_dead_and_each_run_ends_as_they_decided(
    example: Example,
) -> None:
    house = example.house
    others = ("edit", "question", "approve")
    charges = {"reject": LARGE, **{run: next(example.charges) for run in others}}
    tasks = {run: task(charge) for run, charge in charges.items()}
    tasks["reject"] = task(LARGE, next(REJECTED))

    first = example.run({run: tasks[run] for run in ("reject", "edit", "question")})
    example.killed_once_proposed({"approve": tasks["approve"]})
    asked = {run: str(example.request(charge)["id"]) for run, charge in charges.items()}
    house.person("fiona").decide(asked["approve"], "approve", OK)
    house.person("fiona").decide(asked["reject"], "reject", NO)
    house.person("fiona").decide(asked["edit"], "edit", LESS)
    house.person("felix").decide(asked["edit"], "approve", OK)
    house.person("fiona").decide(asked["question"], "ask", {"question": "Is there a photo?"})
    example.until_over(*(charges[run] for run in ("reject", "edit", "approve")))
    second = example.run(tasks)
    answered = example.request(charges["question"])
    house.person("felix").decide(asked["question"], "approve", OK)
    example.until_over(charges["question"])
    third = example.run(tasks)

    told = {run: example.request(charge)["state"] for run, charge in charges.items()}
    done = {run: house.refunds_of(charge) for run, charge in charges.items()}
    assert told == {
        "approve": "audited",
        "edit": "audited",
        "question": "audited",
        "reject": "rejected",
    }
    assert done == {"approve": [26_000], "edit": [25_500], "question": [26_000], "reject": []}
    assert set(first.values()) == {None}
    assert second["question"] is None
    assert answered["state"] == "pending_approval"
    for run, said in (("approve", "Done:"), ("edit", "Done:"), ("reject", "not_justified")):
        assert said in str(second[run])
        assert third[run] == second[run]
    assert "Done:" in str(third["question"])
    assert {str(example.request(charge)["id"]) for charge in charges.values()} == set(
        asked.values()
    )


def test_time_that_runs_out_is_no_refusal_and_nothing_is_done(
    house: Installation, tmp_path: Path
) -> None:
    example = Example(house, "plain_http", tmp_path, iter(()))
    tasks = {"expire": f"Refund {LARGE} {next(REJECTED)} EUR at once: the customer waits."}
    before = house.refunds_of(LARGE)

    first = example.run(tasks)
    until("time is up", lambda: house.requests_of(example.agent)[-1]["state"] == "expired")
    second = example.run(tasks)

    assert first == {"expire": None}
    assert "Time ran out: nobody said no" in str(second["expire"])
    assert house.refunds_of(LARGE) == before


def test_a_langgraph_agent_that_follows_the_readme_is_gated_in_under_ten_lines() -> None:
    from approvals.api import documentation

    source = (EXAMPLES / "langgraph_agent.py").read_text()
    gate = source.partition("# --- the gate\n")[2].partition("# --- the agent\n")[0].strip()
    inside = [line.strip() for line in source.splitlines() if line.endswith("# the gate")]

    lines = [line for line in gate.splitlines() if line.strip()] + inside
    for page in ((ROOT / "README.md").read_text(), documentation._description()):
        assert gate in page
        for line in inside:
            assert line.removesuffix("# the gate").strip() in page
    assert 5 < len(lines) < 10, lines
