"""GitHub: a repository with a pull request, an issue and a workflow."""

from __future__ import annotations

from typing import Any, ClassVar

from connectors.base import Receipt
from connectors.sandbox.store import Json
from connectors.sandbox.web import Refusal
from tests.vendors.cases import Case
from tests.vendors.double import TEXT, Call, Route, Said, Vendor, closed

_REPO = "/repos/<owner>/<repo>"
_HEAD = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
_MERGE = closed(
    {"sha": TEXT, "merge_method": {"enum": ["merge", "squash", "rebase"]}}, {"commit_message": TEXT}
)
_ISSUE = closed(
    {
        "state": {"enum": ["open", "closed"]},
        "state_reason": {"enum": ["completed", "not_planned", "reopened"]},
    }
)
_DISPATCH = closed(
    {"ref": TEXT},
    {
        "return_run_details": {"type": "boolean"},
        "inputs": closed({}, {"environment": TEXT, "version": TEXT}),
    },
)


def _thing(kind: str) -> Any:
    def read(call: Call, owner: str, repo: str, number: str) -> Said:
        return 200, call.must_find(kind, f"{owner}/{repo}/{number}")

    return read


def _merge(call: Call, owner: str, repo: str, number: str) -> Said:
    name = f"{owner}/{repo}/{number}"
    found = call.must_find("pull", name)
    if found["merged"] or found["state"] != "open":
        raise Refusal(405, "", "Pull Request is not mergeable")
    if call.form["sha"] != found["head"]["sha"]:
        raise Refusal(409, "", "Head branch was modified. Review and try the merge again.")
    call.change("pull", name, merged=True, state="closed")
    number = call.applied("pull.merge", name)
    commit = _commit(f"{int(number):040x}", f"{found['title']}\n\n{call.form['commit_message']}")
    call.store.put("commit", f"{found['base']['ref']} {number}", commit)
    return 200, {
        "sha": commit["sha"],
        "merged": True,
        "message": "Pull Request successfully merged",
    }


def _commit(sha: str, message: str) -> Json:
    return {"sha": sha, "commit": {"message": message}, "parents": []}


def _commits(call: Call, owner: str, repo: str) -> Said:
    return 200, call.store.all("commit")[: int(call.query.get("per_page", "30"))]


def _newest(call: Call, owner: str, repo: str, ref: str) -> Said:
    return 200, call.store.all("commit")[0]


def _change_issue(call: Call, owner: str, repo: str, number: str) -> Said:
    name = f"{owner}/{repo}/{number}"
    call.must_find("issue", name)
    found = call.change("issue", name, **call.form)
    call.applied(f"issue.{call.form['state']}", name)
    return 200, found


def _workflow(call: Call, owner: str, repo: str, workflow: str) -> Said:
    return 200, call.must_find("workflow", workflow)


def _dispatch(call: Call, owner: str, repo: str, workflow: str) -> Said:
    call.must_find("workflow", workflow)
    number = 30_433_000 + call.store.next_number("run")
    url = f"https://api.github.com/repos/{owner}/{repo}/actions/runs/{number}"
    run = {
        "id": number,
        "name": "Deploy",
        "event": "workflow_dispatch",
        "status": "queued",
        "conclusion": None,
        "head_branch": call.form["ref"],
        "head_sha": _HEAD,
        "url": url,
    }
    call.store.put("run", str(number), run)
    call.applied("workflow.dispatch", workflow)
    if not call.form.get("return_run_details"):
        return 204, None
    page = f"https://github.com/{owner}/{repo}/actions/runs/{number}"
    return 200, {"workflow_run_id": number, "run_url": url, "html_url": page}


def _run(call: Call, owner: str, repo: str, run: str) -> Said:
    return 200, call.must_find("run", run)


def _limits(call: Call) -> Said:
    full = {"limit": 5000, "used": 1, "remaining": 4999, "reset": 1_795_000_000}
    return 200, {"resources": {"core": full}, "rate": full}


class GitHub(Vendor):
    name = "github"
    credential = "github_pat_0123456789abcdef"
    needs: ClassVar = {
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    routes = (
        Route("GET", "/rate_limit", _limits),
        Route("GET", f"{_REPO}/pulls/<number>", _thing("pull")),
        Route("PUT", f"{_REPO}/pulls/<number>/merge", _merge, body=_MERGE),
        Route("GET", f"{_REPO}/commits", _commits, query=("sha", "per_page")),
        Route("GET", f"{_REPO}/commits/<ref>", _newest),
        Route("GET", f"{_REPO}/issues/<number>", _thing("issue")),
        Route("PATCH", f"{_REPO}/issues/<number>", _change_issue, body=_ISSUE),
        Route("GET", f"{_REPO}/actions/workflows/<workflow>", _workflow),
        Route(
            "POST", f"{_REPO}/actions/workflows/<workflow>/dispatches", _dispatch, body=_DISPATCH
        ),
        Route("GET", f"{_REPO}/actions/runs/<run>", _run),
    )

    def furnish(self) -> None:
        pull = {
            "number": 7,
            "title": "Ship lamps in a box",
            "state": "open",
            "merged": False,
            "draft": False,
            "mergeable": True,
            "changed_files": 3,
            "head": {"ref": "boxes", "sha": _HEAD},
            "base": {"ref": "main", "sha": "0" * 40},
            "user": {"login": "mia"},
        }
        issue = {
            "number": 12,
            "title": "Lamps arrive broken",
            "state": "open",
            "state_reason": "reopened",
            "html_url": "https://github.com/acme/shop/issues/12",
        }
        self.put("pull", "acme/shop/7", pull)
        self.put("issue", "acme/shop/12", issue)
        self.put("workflow", "deploy.yml", {"id": 1, "name": "Deploy the shop", "state": "active"})
        self.put("commit", "main 0", _commit("1" * 40, "Count lamps"))

    def error(self, status: int, code: str, message: str) -> Json:
        return {"message": message, "documentation_url": "https://docs.github.com/rest"}


def _pushed(double: GitHub, receipt: Receipt | None) -> None:
    double.change("pull", "acme/shop/7", head={"ref": "boxes", "sha": "2" * 40})


def _set(kind: str, name: str, **values: Any) -> Any:
    return lambda double, receipt: double.change(kind, name, **values)


def _closed(double: GitHub) -> None:
    double.change("issue", "acme/shop/12", state="closed", state_reason="completed")


CASES = (
    Case(operation="pull_request.merge", shows="Ship lamps in a box", moved=_pushed,
         tampered=_set("pull", "acme/shop/7", merged=False)),
    Case(operation="issue.close", shows="Lamps arrive broken",
         tampered=_set("issue", "acme/shop/12", state="open")),
    Case(operation="issue.reopen", shows="Lamps arrive broken", prepared=_closed,
         tampered=_set("issue", "acme/shop/12", state="closed")),
    Case(operation="workflow.dispatch", shows="Deploy the shop",
         tampered=lambda double, receipt: double.change("run", receipt.reference, head_branch="x")),
)  # fmt: skip
