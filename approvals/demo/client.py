"""Calling Countersign the way its users do: agents by key, people by the admin's own forms."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import httpx

_TIMEOUT = 40.0  # seconds; longer than the longest long poll
# Shorter than the server's own two seconds, so that no call meets a connection being closed.
_LIMITS = httpx.Limits(keepalive_expiry=1.0)


class _Client:
    """Somebody with connections of their own."""

    _http: httpx.Client

    def close(self) -> None:
        self._http.close()


class AgentClient(_Client):
    """One agent on the REST API."""

    def __init__(self, base_url: str, key: str) -> None:
        self._http = httpx.Client(
            base_url=f"{base_url}/api/v1/",
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT,
            limits=_LIMITS,
            trust_env=False,
        )

    def propose(self, body: dict[str, Any], *, key: str) -> dict[str, Any]:
        """Propose, or get the answer the key already has. Raises httpx.HTTPStatusError."""
        return self._json(self._http.post("actions/", json=body, headers={"Idempotency-Key": key}))

    def plan(self, body: dict[str, Any], *, key: str) -> dict[str, Any]:
        """Propose several actions to be judged together. Raises httpx.HTTPStatusError."""
        return self._json(self._http.post("plans/", json=body, headers={"Idempotency-Key": key}))

    def get_plan(self, plan_id: str) -> dict[str, Any]:
        return self._json(self._http.get(f"plans/{plan_id}/"))

    def find(self, *, session: str) -> dict[str, Any] | None:
        """The newest request of that session, if there is one."""
        page = self._json(self._http.get("actions/", params={"session": session}))
        found: list[dict[str, Any]] = page["results"]
        return found[0] if found else None

    def get(self, request_id: str) -> dict[str, Any]:
        return self._json(self._http.get(f"actions/{request_id}/"))

    def post(self, request_id: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._json(self._http.post(f"actions/{request_id}/{what}/", json=body))

    @staticmethod
    def _json(answer: httpx.Response) -> dict[str, Any]:
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


class PersonClient(_Client):
    """One person in the admin, through the same login and forms a browser uses."""

    def __init__(self, base_url: str, username: str, password: str) -> None:
        self._http = httpx.Client(
            base_url=base_url,
            timeout=_TIMEOUT,
            limits=_LIMITS,
            follow_redirects=True,
            trust_env=False,
        )
        self._password = password
        page = self._http.get("/admin/login/")
        self._post(page, "/admin/login/", {"username": username, "password": password})

    def open(self, address: str) -> str:
        """Any page as this person sees it. Raises httpx.HTTPStatusError."""
        return self._http.get(address).raise_for_status().text

    def page(self, request_id: str) -> str:
        """The request's page. Raises httpx.HTTPStatusError."""
        return self.open(f"/review/{request_id}/")

    def decide(self, request_id: str, what: str, fields: dict[str, str]) -> None:
        """Open the request's page and send the form whose address ends in `what`.

        Types the password where the form asks for it.
        Raises LookupError when the page has no such form, httpx.HTTPStatusError when the answer
        is a refusal.
        """
        self._send(f"/review/{request_id}/", what, fields)

    def decide_plan(self, plan_id: str, what: str, fields: dict[str, str]) -> None:
        """The same on a plan's page."""
        self._send(f"/admin/approvals/plan/{plan_id}/change/", what, fields)

    def _send(self, address: str, what: str, fields: dict[str, str]) -> None:
        page = self._http.get(address).raise_for_status()
        form = next((f for f in _forms(page.text) if f.action.endswith(f"/{what}/")), None)
        if form is None:
            raise LookupError(f"No form to {what} on {page.url}.")
        answer = self._answer(page, form, fields)
        # an edit is shown first with what comes of it, and sent from there
        again = next((f for f in _forms(answer.text) if f.action == form.action), None)
        if what == "edit" and again is not None:
            self._answer(answer, again, fields)

    def _answer(self, page: httpx.Response, form: _Form, fields: dict[str, str]) -> httpx.Response:
        asked = {"password": self._password} if "password" in form.fields else {}
        answer = self._post(page, form.action, {**form.fields, **asked, **fields})
        return answer.raise_for_status()

    def _post(
        self, page: httpx.Response, address: str, fields: Mapping[str, str | list[str]]
    ) -> httpx.Response:
        form = _forms(page.text)[0]
        token = form.fields.get("csrfmiddlewaretoken", "")
        return self._http.post(
            address,
            data={"csrfmiddlewaretoken": token, **fields},
            headers={"Referer": str(page.url)},
        )


class _Form:
    def __init__(self, action: str) -> None:
        self.action = action
        self.fields: dict[str, str | list[str]] = {}


class _FormReader(HTMLParser):
    """The POST forms of a page with the values their fields have."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self._open: _Form | None = None
        self._area: str = ""
        self._elsewhere: dict[str, dict[str, list[str]]] = {}
        """By form: boxes that stand before it on the page, all ticked, as a careful reader does."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if given.get("form"):
            ticks = self._elsewhere.setdefault(given["form"], {})
            ticks.setdefault(given.get("name", ""), []).append(given.get("value", ""))
        elif tag == "form" and given.get("method", "").lower() == "post":
            self._open = _Form(given.get("action", ""))
            self._open.fields |= self._elsewhere.get(given.get("id", ""), {})
            self.forms.append(self._open)
        elif self._open is not None and tag == "input" and given.get("type") != "submit":
            self._open.fields[given.get("name", "")] = given.get("value", "")
        elif self._open is not None and tag == "textarea":
            self._area = given.get("name", "")
            self._open.fields[self._area] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._open is not None and self._area:
            # browsers drop the line break that follows the opening tag
            so_far = f"{self._open.fields[self._area]}{data}"
            self._open.fields[self._area] = (
                so_far[2:] if so_far.startswith("\r\n") else so_far.removeprefix("\n")
            )


def _forms(html: str) -> list[_Form]:
    reader = _FormReader()
    reader.feed(html)
    return reader.forms
