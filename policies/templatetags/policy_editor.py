"""A request by its id: as a link for readers who may open it, as plain text for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

if TYPE_CHECKING:
    from policies.admin.replay_panel import RecordLinks

register = template.Library()


@register.simple_tag
def request_id(subject_id: str, links: RecordLinks) -> SafeString:
    """The beginning of the id, which is enough to tell requests of one page apart."""
    address = links.to(subject_id)
    if not address:
        return format_html('<code title="{}">{}</code>', subject_id, subject_id[:13])
    return format_html(
        '<a href="{}" title="{}"><code>{}</code></a>', address, subject_id, subject_id[:13]
    )
