"""What the record of one request says, section by section, read in a fixed number of queries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse
from django.utils.html import format_html

from approvals.admin.record_tables import Table, moment, tables_of
from approvals.choices import Origin, State
from approvals.inspection import reveal
from approvals.models import ActionRequest, EvidenceItem, PolicyDecision, RequestContent
from approvals.selectors.case import amount_of
from approvals.selectors.requests import proposal_of, reading_of


@dataclass(frozen=True, slots=True)
class Badge:
    """A word with a colour of the theme's labels."""

    text: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of what is to be done."""

    number: int
    is_current: bool
    digest: str
    is_intact: bool
    edited_by: str
    params: tuple[tuple[str, str], ...]
    canonical: str


@dataclass(frozen=True, slots=True)
class Change:
    """One field of the target as it was read and as it was to become."""

    name: str
    before: str
    after: str
    differs: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """One evaluation of policy, with every rule's clauses."""

    decision: PolicyDecision
    title: str
    verdict: str
    version: str
    matched: tuple[dict[str, Any], ...]
    others: tuple[dict[str, Any], ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """One piece of evidence, with its text made safe to read."""

    item: EvidenceItem
    title: str
    uri: str
    body: str
    is_the_agent_s: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage:
    """Everything on the page."""

    effect: str
    badges: tuple[Badge, ...]
    facts: tuple[tuple[str, Any], ...]
    said: tuple[tuple[str, str], ...]
    versions: tuple[Version, ...]
    changes: tuple[Change, ...] = ()
    unavailable: str = ""
    read_at: Any = None
    judgements: tuple[Judgement, ...] = ()
    sources: tuple[Source, ...] = ()
    tables: tuple[Table, ...] = field(default=())


def record_page(request: ActionRequest, *, colours: Mapping[str, str]) -> RecordPage:
    """The whole record of one request, as its reader sees it."""
    contents = list(request.contents.select_related("edited_by").order_by("-version"))
    reading = reading_of(request)
    judged = request.policy_decisions.select_related("policy_version").order_by("-id")
    return RecordPage(
        effect=reveal(request.effect),
        badges=_badges(request, colours),
        facts=_facts(request),
        said=_said(request),
        versions=tuple(_version(content, request) for content in contents),
        changes=_changes(reading.before, reading.after) if reading else (),
        unavailable=reading.unavailable if reading else "",
        read_at=reading.read_at if reading else None,
        judgements=tuple(_judgement(decision) for decision in judged),
        sources=tuple(_source(i) for i in request.evidence.filter(version=request.version)),
        tables=tables_of(request),
    )


def _badges(request: ActionRequest, colours: Mapping[str, str]) -> tuple[Badge, ...]:
    tier = "tier not yet known" if request.risk_tier is None else f"tier {request.risk_tier}"
    return (
        Badge(State(request.state).label, colours.get(request.state, "")),
        Badge(tier, "danger" if (request.risk_tier or 0) >= 4 else ""),
        Badge(request.reversibility),
    )


def _facts(request: ActionRequest) -> tuple[tuple[str, Any], ...]:
    agent = format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>',
        reverse("admin:approvals_agent_change", args=[request.agent_id]),
        request.agent.name,
    )
    opened_by = request.requested_by.get_username() if request.requested_by else ""
    facts: Sequence[tuple[str, Any]] = (
        ("Id", str(request.pk)),
        ("Agent", agent),
        ("Agent's owner", request.agent.owner.get_username()),
        ("On behalf of", request.on_behalf_of),
        ("Opened by", opened_by),
        ("Action type", f"{request.action_type} (version {request.action_type_version})"),
        ("Verb", request.verb),
        ("System", request.system),
        ("Target", reveal(request.target)),
        ("Counterparty", reveal(request.counterparty)),
        ("Amount", str(amount_of(request) or "")),
        ("Policy's verdict", _words(request.verdict)),
        ("Proposed", moment(request.created_at)),
        ("Last change", moment(request.updated_at)),
        ("Decide by", moment(request.decide_by)),
        ("Answer by", moment(request.answer_by)),
        ("Execute by", moment(request.execute_by)),
        ("Undoes", _other(request.compensates_id)),
        ("Supersedes", _other(request.supersedes_id)),
        ("Session", reveal(request.session)),
        ("Idempotency key", reveal(request.idempotency_key)),
    )
    return tuple((name, value) for name, value in facts if value)


def _other(request_id: Any) -> Any:
    if request_id is None:
        return ""
    address = reverse("admin:approvals_actionrequest_change", args=[request_id])
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, request_id
    )


def _said(request: ActionRequest) -> tuple[tuple[str, str], ...]:
    """What the agent wrote of its own accord: never trusted, always marked as the agent's."""
    text = proposal_of(request)
    rows: list[tuple[str, str]] = [("Intent", reveal(text.intent))]
    rows += [
        ("Alternative", reveal(f"{a.get('summary', '')} (risk: {a.get('risk', 'not stated')})"))
        for a in text.alternatives
    ]
    rows.append(("How it would be undone", reveal(text.undo_note)))
    if text.confidence is not None:
        rows.append(("Confidence", str(text.confidence)))
    rows += [(f"Model: {key}", reveal(str(value))) for key, value in text.model.items()]
    rows.append(("Callback", reveal(text.callback_url)))
    return tuple((name, value) for name, value in rows if value)


def _version(content: RequestContent, request: ActionRequest) -> Version:
    action: dict[str, Any] = json.loads(content.action)
    is_current = content.version == request.version
    return Version(
        number=content.version,
        is_current=is_current,
        digest=content.digest,
        is_intact=content.is_intact and (not is_current or content.digest == request.digest),
        edited_by=content.edited_by.get_username() if content.edited_by else "",
        params=_rows(action.get("params", {})),
        canonical=reveal(content.action),
    )


def _changes(before: str, after: str) -> tuple[Change, ...]:
    was, will = dict(_rows(_loaded(before))), dict(_rows(_loaded(after)))
    return tuple(
        Change(name, was.get(name, ""), will.get(name, ""), was.get(name) != will.get(name))
        for name in dict.fromkeys((*was, *will))
    )


def _judgement(decision: PolicyDecision) -> Judgement:
    trace: dict[str, Any] = json.loads(decision.trace)
    rules: Iterable[dict[str, Any]] = [
        {**rule, "effect_words": _words(rule["effect"])} for rule in trace.get("rules", ())
    ]
    return Judgement(
        decision=decision,
        title=f"What policy said at {decision.get_purpose_display().lower()}",
        verdict=_words(decision.verdict),
        version=str(trace.get("version") or "none was published"),
        matched=tuple(rule for rule in rules if rule["matched"]),
        others=tuple(rule for rule in rules if not rule["matched"]),
        facts=_rows(_loaded(decision.facts)),
    )


def _source(item: EvidenceItem) -> Source:
    body = item.body
    if item.origin == Origin.SYSTEM:
        body = _pretty(_loaded(body)) if _loaded(body) != {} else body
    return Source(
        item=item,
        title=reveal(item.title),
        uri=reveal(item.uri),
        body=reveal(body),
        is_the_agent_s=item.origin == Origin.AGENT,
    )


def _words(code: str) -> str:
    return code.replace("_", " ")


def _loaded(text: str) -> Any:
    """The JSON, or nothing where there is none: a record is read when things went wrong."""
    try:
        return json.loads(text)
    except ValueError:
        return {}


def _rows(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        return (("value", reveal(_pretty(value))),)
    return tuple((reveal(str(k)), reveal(_pretty(v))) for k, v in value.items())


def _pretty(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=2, ensure_ascii=False)
