"""`countersign scan`: what acts without asking is found, what asks is not, and the rest is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from countersign.__main__ import main
from countersign.scan import Report, scan
from hypothesis import given
from hypothesis import strategies as st

from connectors.catalogue import Reversibility, Verb
from tests.agents.conftest import CLIENT

REFUND = "    return stripe.Refund.create(charge=charge)\n"


def project(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def found(report: Report) -> list[tuple[str, str]]:
    return [(finding.what, finding.tool) for finding in report.findings]


@pytest.mark.parametrize(
    ("imports", "offers"),
    [
        ("from langchain_core.tools import tool", "@tool"),
        ("from langchain.tools import tool as offer", "@offer"),
        ("from agents import function_tool", "@function_tool(strict_mode=False)"),
        ("from pydantic_ai import Agent\nagent = Agent('m')", "@agent.tool_plain"),
        ("from mcp.server.fastmcp import FastMCP\nmcp = FastMCP('x')", "@mcp.tool()"),
        ("from agent_framework import ai_function", "@ai_function"),
        ("from anthropic import beta_tool", "@beta_tool"),
    ],
)
def test_a_tool_of_every_framework_that_acts_is_found(
    tmp_path: Path, imports: str, offers: str
) -> None:
    code = f"import stripe\n{imports}\n{offers}\ndef give_back(charge: str):\n{REFUND}"

    report = scan(project(tmp_path, {"agent.py": code}))

    assert found(report) == [("stripe.Refund.create", "give_back")]
    assert report.findings[0].does == "moves money"


@pytest.mark.parametrize(
    "handed_over",
    [
        "Agent('m', tools=[give_back])",
        "FunctionTool(give_back)",
        "StructuredTool.from_function(func=give_back)",
        "Agent('m', tools=[FunctionTool(func=give_back)])",
    ],
)
def test_a_function_handed_over_as_a_tool_is_one(tmp_path: Path, handed_over: str) -> None:
    code = (
        f"import stripe\nfrom framework import *\ndef give_back(charge):\n{REFUND}{handed_over}\n"
    )

    assert found(scan(project(tmp_path, {"agent.py": code}))) == [
        ("stripe.Refund.create", "give_back")
    ]


def test_a_tool_that_is_a_class_is_found(tmp_path: Path) -> None:
    code = (
        "import stripe\nfrom langchain_core.tools import BaseTool\n"
        "class GiveBack(BaseTool):\n    def _run(self, charge):\n    " + REFUND
    )

    assert found(scan(project(tmp_path, {"agent.py": code}))) == [("stripe.Refund.create", "_run")]


@pytest.mark.parametrize(
    "files",
    [
        {
            "src/bot/clients.py": "import stripe\npay = stripe.StripeClient('k')\n",
            "src/bot/tools.py": "from bot.clients import pay\ndef f():\n    pay.refunds.create()\n",
        },
        {
            "bot/__init__.py": "",
            "bot/clients.py": "import stripe\ndef client():\n    return stripe.StripeClient('k')\n",
            "bot/tools.py": "from .clients import client\ndef f():\n  client().refunds.create()\n",
        },
        {
            "a.py": "import stripe\nclass S:\n    def __init__(self):\n"
            "        self.c = stripe.StripeClient('k')\n    def f(self):\n"
            "        self.c.refunds.create()\n"
        },
        {"a.py": "import stripe\ndef f(c: stripe.StripeClient | None):\n    c.refunds.create()\n"},
        {"a.py": "import stripe as s\nwith s.StripeClient('k') as c:\n    c.refunds.create()\n"},
        {"a.py": "import stripe\nif c := stripe.StripeClient('k'):\n    c.refunds.create()\n"},
        {"a.py": "import stripe\nasync def f():\n    c = stripe.StripeClient('k')\n"
                 "    await c.refunds.create_async()\n"},
    ],
    ids=["module", "returned", "attribute", "annotated", "with", "walrus", "awaited"],
)  # fmt: skip
def test_names_are_followed_to_where_they_come_from(tmp_path: Path, files: dict[str, str]) -> None:
    (finding,) = scan(project(tmp_path, files)).findings

    assert finding.what.startswith("stripe.StripeClient.refunds.create")


@pytest.mark.parametrize(
    ("line", "does"),
    [
        ("requests.post(url)", "writes over HTTP"),
        ("requests.Session().delete(url)", "writes over HTTP"),
        ("httpx.request('PATCH', url)", "writes over HTTP"),
        ("httpx.request(method, url)", "writes over HTTP"),
        ("urllib.request.urlopen(url, data=b'')", "writes over HTTP"),
        ("subprocess.run(['rm'])", "runs a command"),
        ("os.system('rm')", "runs a command"),
        ("shutil.rmtree(path)", "deletes or moves files"),
        ("cursor.execute('delete from orders')", "changes rows"),
        ("cursor.execute(f'UPDATE {table}')", "changes rows"),
        ("boto3.client('iam').attach_user_policy()", "changes accounts or infrastructure"),
        ("slack_sdk.WebClient().chat_postMessage()", "posts for others to read"),
        ("smtplib.SMTP('h').sendmail()", "sends mail"),
        ("requests.get(url)", ""),
        ("httpx.request('GET', url)", ""),
        ("urllib.request.urlopen(url)", ""),
        ("cursor.execute('SELECT 1')", ""),
        ("boto3.client('iam').list_users()", ""),
        ("stripe.Charge.retrieve('ch_1')", ""),
        ("[].append(1)", ""),
    ],
)
def test_what_acts_is_told_from_what_reads(tmp_path: Path, line: str, does: str) -> None:
    imports = "import boto3, httpx, os, requests, shutil, smtplib, slack_sdk, stripe, subprocess"
    code = f"{imports}\nimport urllib.request\n{line}\n"

    findings = scan(project(tmp_path, {"agent.py": code})).findings

    assert [finding.does for finding in findings] == ([does] if does else [])


PROPOSING = """
from countersign import Countersign
cs = Countersign()

@cs.tool("refund.issue")
def give_back(charge):
    return {"charge": charge}, "The lamp broke."
"""


def test_a_tool_that_proposes_is_counted_and_not_found(tmp_path: Path) -> None:
    report = scan(project(tmp_path, {"agent.py": PROPOSING}))

    assert report.findings == []
    assert report.gated == ["give_back"]


def test_a_proposing_tool_that_acts_before_it_proposes_is_found(tmp_path: Path) -> None:
    code = (
        "import stripe\nfrom countersign import AsyncCountersign\ncs = AsyncCountersign()\n"
        "@cs.tool('refund.issue')\nasync def give_back(charge):\n" + REFUND
    )

    assert found(scan(project(tmp_path, {"agent.py": code}))) == [("stripe.Refund.create", "")]


GATED = """
import subprocess
from langchain_core.tools import tool
from countersign import Countersign
cs = Countersign()

@tool
@cs.gate("command.run")
def run(command: str):
    subprocess.run(command, shell=True)
"""


def test_a_gated_function_is_counted_and_what_it_does_not_found(tmp_path: Path) -> None:
    report = scan(project(tmp_path, {"agent.py": GATED}))

    assert report.findings == []
    assert report.gated == ["run"]


def test_a_gate_around_what_a_framework_was_given_already_is_none(tmp_path: Path) -> None:
    code = GATED.replace('@tool\n@cs.gate("command.run")\n', '@cs.gate("command.run")\n@tool\n')

    report = scan(project(tmp_path, {"agent.py": code}))

    assert [finding.tool for finding in report.findings] == ["run"]
    assert report.gated == []


def test_somebody_elses_decorator_is_none_of_ours(tmp_path: Path) -> None:
    code = "import stripe\nimport cs\n@cs.approved('x')\ndef give_back(charge):\n" + REFUND

    assert len(scan(project(tmp_path, {"agent.py": code})).findings) == 1


def test_a_suppression_needs_a_reason_and_stays_counted(tmp_path: Path) -> None:
    code = (
        "import requests\n"
        "requests.post('a')  # countersign: ignore because it is our own cache\n"
        "requests.post('b')  # countersign: ignore\n"
        "text = '# countersign: ignore because of nothing'; requests.post('c')\n"
    )

    report = scan(project(tmp_path, {"agent.py": code}))

    assert [(f.place.line, f.reason) for f in report.suppressed] == [(2, "it is our own cache")]
    assert [finding.place.line for finding in report.findings] == [3, 4]
    assert report.unseen["suppressions without a reason, which do not count"] == ["agent.py:3"]
    assert "1 suppressed" in "\n".join(report.lines())


SERVERS = {"mcpServers": {"files": {"command": "npx", "args": ["-y", "files"]},
                          "desk": {"url": "https://desk.example/mcp/"}}}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".mcp.json", json.dumps(SERVERS)),
        (".vscode/mcp.json", json.dumps({"servers": SERVERS["mcpServers"]})),
        (".claude.json", json.dumps({"projects": {"/home/me": SERVERS}})),
        (
            ".codex/config.toml",
            '[mcp_servers.files]\ncommand = "npx"\nargs = ["-y", "files"]\n'
            '[mcp_servers.desk]\nurl = "https://desk.example/mcp/"\n',
        ),
    ],
)
def test_servers_given_to_a_model_are_found_except_ours(
    tmp_path: Path, name: str, text: str
) -> None:
    folder = project(tmp_path, {name: text})

    report = scan(folder, ours=("https://desk.example",))

    assert found(report) == [("MCP server files", "")]
    assert report.findings[0].draft.text == "# manage.py import_mcp files npx -y files\n"
    assert report.gated == ["MCP server desk"]
    assert len(scan(folder).findings) == 2


def test_a_server_is_suppressed_in_a_table(tmp_path: Path) -> None:
    table = '[[ignore]]\npath = ".mcp.json"\nwhat = "MCP server files"\nreason = "It reads."\n'
    files = {".mcp.json": json.dumps(SERVERS), "countersign.toml": table}

    report = scan(project(tmp_path, files))

    assert found(report) == [("MCP server desk", "")]
    assert [(f.what, f.reason) for f in report.suppressed] == [("MCP server files", "It reads.")]


def test_what_could_not_be_seen_is_told(tmp_path: Path) -> None:
    files = {
        "broken.py": "def f(:\n",
        "page.ts": "fetch('/')",
        ".mcp.json": "{ // comments",
        "node_modules/x/index.js": "",
        "book.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": ["!rm x\n", "1"]}]}),
        "agent.py": "import acme\n"
        "def f(db, name, statement):\n"
        "    getattr(db, name)()\n"
        "    eval(name)\n"
        "    db.refunds.refund()\n"
        "    db.execute(statement)\n"
        "    acme.Client().delete_everything()\n"
        "Agent(tools=[acme.shell])\n",
    }

    report = scan(project(tmp_path, files))

    assert report.unseen == {
        "files that are no Python this scan understands": ["broken.py:1"],
        "JavaScript and TypeScript, which this scan does not read": ["1 files"],
        "MCP clients' files that cannot be read": [".mcp.json:1"],
        "folders of dependencies and tools": ["node_modules"],
        "shell commands in notebooks": ["book.ipynb"],
        "calls that are chosen, or code that is made, while it runs": ["agent.py:3", "agent.py:4"],
        "calls on things whose origin is not known": ["agent.py:5 .refund()"],
        "statements that are put together elsewhere": ["agent.py:6"],
        "libraries this scan knows nothing about": ["agent.py:7 acme .delete_everything()"],
        "tools made elsewhere": ["agent.py:8 acme.shell"],
    }
    assert list(report.lines())[-1] == "  - whether a call found here is ever made, and with what"


def test_nothing_is_imported_or_run(tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    project(tmp_path, {"agent.py": code, "setup.py": code, "conftest.py": code})

    scan(tmp_path)

    assert not (tmp_path / "ran").exists()


def test_drafts_are_operations_of_a_systems_file(tmp_path: Path) -> None:
    code = (
        "import boto3, requests, stripe, subprocess\n"
        "@tool\ndef issue_refund(ctx, charge: str, amount: float):\n    return _refund(charge)\n"
        "def _refund(charge):\n" + REFUND +
        "boto3.client('iam').attach_user_policy(UserName=1)\n"
        "requests.post('https://a.example/v1/invoices')\n"
        "subprocess.run(['x'])\n"
        "db.execute('INSERT INTO orders VALUES (1)')\n"
    )  # fmt: skip
    drafts = tmp_path / "drafts.yaml"

    assert main(["scan", str(project(tmp_path / "agent", {"a.py": code})), "--drafts", str(drafts)])

    written = yaml.safe_load(drafts.read_text())
    assert sorted(written) == [
        *("command.run", "invoice.create", "orders.insert", "refund.issue", "user_policy.attach"),
    ]
    assert written["refund.issue"]["params"] == {
        "charge": {"type": "string", "maxLength": 200},
        "amount": {"type": "number"},
    }
    assert {Verb(one["verb"]) for one in written.values()} >= {Verb.PAY, Verb.EXECUTE, Verb.GRANT}
    assert {Reversibility(one["reversibility"]) for one in written.values()} == {
        Reversibility.IRREVERSIBLE
    }


def test_the_command(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "countersign", "scan", *arguments],
            cwd=CLIENT, env={}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    clean, acting = tmp_path / "clean", tmp_path / "acting"
    project(clean, {"agent.py": PROPOSING})
    project(acting, {"agent.py": "import os\nos.system('rm')\n"})
    assert run(str(clean)).returncode == 0
    told = run(str(acting), "--json")
    assert told.returncode == 1
    assert json.loads(told.stdout)["findings"][0]["what"] == "os.system"
    nowhere = run(str(tmp_path / "nowhere"))
    assert (nowhere.returncode, nowhere.stderr) == (
        2,
        f"countersign scan: {tmp_path / 'nowhere'} is not there.\n",
    )
    project(clean, {"countersign.toml": '[[ignore]]\npath = "a.py"\n'})
    assert "ignore 1: path and reason are needed; say why." in run(str(clean)).stderr


@given(st.text(max_size=400))
def test_no_text_makes_it_fail(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "agent.py").write_bytes(text.encode("utf-8", "surrogatepass"))
    (folder / "mcp.json").write_bytes(text.encode("utf-8", "surrogatepass"))

    list(scan(folder).lines())


def test_names_in_a_circle_and_deep_code_end(tmp_path: Path) -> None:
    circle = {"a.py": "from b import x\nx.post()\n", "b.py": "from a import x\n"}
    deep = {"deep.py": "f" + "(f" * 5000 + ")" * 5000, "long.py": "f" + "()" * 3000}

    report = scan(project(tmp_path, circle | deep))

    assert report.findings == []
    assert "deep.py:1" in report.unseen["files that are no Python this scan understands"]
