"""What a proposal adds to its session: facts about the chain of requests it belongs to.

The other requests are read under the lock of the agent's counter, so that of two proposals of one
session the second is judged knowing of the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from approvals.domain.derivation import Candidate
from approvals.selectors.chains import Links
from connectors.catalogue import Verb
from policies.facts import SOURCE_CLASSES, SessionFacts

OWN, AUTHENTICATED, PUBLIC, UNKNOWN = SOURCE_CLASSES
_CLASS_OF = {
    "official": OWN,
    "internal": OWN,
    "authenticated": AUTHENTICATED,
    "external": PUBLIC,  # nobody says that it was authenticated
    "public": PUBLIC,
}
"""What an agent says a source is worth; other words mean nothing to us."""
_NOTHING_CHANGES = (Verb.READ, Verb.DRAFT)


def session_facts(
    candidate: Candidate, links: Links, *, named: bool, own_base: int
) -> SessionFacts:
    """With the candidate itself on top of the other requests of its chain."""
    kind = candidate.type
    words = {source.authority for source in candidate.sources} | links.authorities
    is_silent = not candidate.sources or links.some_without_sources or not named
    sources = source_classes(words) | ({UNKNOWN} if is_silent else set())
    is_new = bool(links.systems_outside_plan) and kind.system not in links.systems_ahead
    return with_sources(
        SessionFacts(
            named=named,
            count=links.count + 1,
            sum_base=links.sum_base + own_base,
            highest_tier=links.highest_tier,
            systems=tuple(sorted(links.systems | {kind.system})),
            goes_beyond=is_new and not candidate.is_undo and kind.verb not in _NOTHING_CHANGES,
            sources=(),
        ),
        sources,
    )


def source_classes(authorities: Iterable[str]) -> set[str]:
    """The classes of sources the agent gave these words."""
    return {_CLASS_OF.get(word.strip().lower(), UNKNOWN) for word in authorities}


def with_sources(facts: SessionFacts, more: Iterable[str]) -> SessionFacts:
    """The facts with those classes as well: nothing is ever taken out."""
    found = sorted({*facts.sources, *more}, key=SOURCE_CLASSES.index)
    return replace(facts, sources=tuple(found), worst_source=found[-1])
