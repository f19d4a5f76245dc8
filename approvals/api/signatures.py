"""Which message was signed: as it came over HTTP, before anybody has parsed it (RFC 9421)."""

from __future__ import annotations

from django.conf import settings
from django.utils.encoding import escape_uri_path
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from approvals.api.parsers import MAX_BYTES, BodyTooLarge
from approvals.exceptions import SignatureRefused
from approvals.models import Agent
from approvals.proposal import Signature
from approvals.services.message_signatures import Message, verify

_SIGNED = frozenset({"signature", "signature-input"})


def signature_of(request: Request, agent: Agent) -> Signature | None:
    """The agent's signature of this message; None where it has none and needs none.

    What only reads needs none. Raises SignatureRefused.
    """
    if _SIGNED.isdisjoint(map(str.lower, request.headers)):
        if agent.signatures_required and request.method not in SAFE_METHODS:
            raise SignatureRefused(
                "This agent signs what it sends: Signature and Signature-Input are missing.",
                code="signature_required",
            )
        return None
    return verify(_message(request), agent)


def _message(request: Request) -> Message:
    sent = request._request
    length = sent.META.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdigit() and int(length) > MAX_BYTES:
        raise BodyTooLarge
    # where agents reach us is BASE_URL, whatever a proxy made of it, and the path as it was sent
    target = f"{settings.BASE_URL}{escape_uri_path(sent.META['PATH_INFO'])}"
    query = sent.META.get("QUERY_STRING", "")
    return Message(
        method=sent.method or "",
        url=f"{target}?{query}" if query else target,
        headers=dict(sent.headers),
        body=sent.body,
    )
