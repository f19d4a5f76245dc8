"""Whose words a rule is: a later version that repeats it word for word takes it from nobody."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from django.db.models import Q

from audit.lib.prepared import Given
from policies.document import Rule
from policies.models import PolicyVersion
from policies.parsing.grammar import read_stored
from policies.parsing.yaml_source import DocumentError

_MOST_REMEMBERED = 256


def versions_behind(evaluated: Mapping[PolicyVersion, Collection[str]]) -> frozenset[int]:
    """These versions, and those in which one of the rules named with each was first written.

    What a version restores counts as written by whoever wrote that. The versions have evaluated
    something: nobody edits those any more, so where their words come from is looked up once.
    """
    origins = [
        _origins(version.pk, version.audit_head, frozenset(rules))
        for version, rules in evaluated.items()
    ]
    return frozenset().union(*origins)


def wrote_in(version: int | Given) -> Q:
    """The accounts that wrote in this version."""
    return Q(drafted_policies=version) | Q(policy_edits__version=version)


@lru_cache(maxsize=_MOST_REMEMBERED)
def _origins(version_id: int, audit_head: str, rules: frozenset[str]) -> frozenset[int]:
    """The versions its words come from; the head of its chain tells databases apart."""
    rows = PolicyVersion.objects.order_by().values_list("pk", "digest", "based_on", "restores")
    known = {row[0]: _Version(*row) for row in rows}
    wrote: set[int] = set()
    whole: int | None = version_id
    while whole is not None and whole not in wrote:
        wrote.add(whole)
        whole = known[whole].restores
    return frozenset(wrote | {_first_with(rule, known[version_id], known) for rule in rules})


@dataclass(frozen=True, slots=True)
class _Version:
    """What a version came from: what it restores, and what was in force when it was drafted."""

    pk: int
    digest: str
    based_on: int | None
    restores: int | None

    @property
    def rules(self) -> Mapping[str, Rule]:
        return _rules(self.pk, self.digest)


def _first_with(rule: str, version: _Version, known: Mapping[int, _Version]) -> int:
    """The oldest version in an unbroken line in which the rule reads as it does here."""
    words = version.rules.get(rule)
    while words is not None:
        before = (known[pk] for pk in (version.restores, version.based_on) if pk is not None)
        same = next((one for one in before if one.rules.get(rule) == words), None)
        if same is None or same.pk >= version.pk:
            break
        version = same
    return version.pk


@lru_cache(maxsize=_MOST_REMEMBERED)
def _rules(version_id: int, digest: str) -> Mapping[str, Rule]:
    """The version's rules by id; of a text this release no longer reads, none."""
    text = PolicyVersion.objects.values_list("document", flat=True).get(pk=version_id)
    try:
        return MappingProxyType({rule.id: rule for rule in read_stored(text).document.rules})
    except DocumentError:
        return MappingProxyType({})
