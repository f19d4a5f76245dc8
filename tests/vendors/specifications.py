"""The vendors' own specifications (OpenAPI), standing between our files and our doubles.

What we send and what a double answers is held against the same operation's schemas, so that a
double does not merely repeat our mistakes. One rule is ours: every key must be declared, although
OpenAPI lets undeclared ones pass. A double answers less than its vendor does; therefore nothing is
`required` of an answer.

Specifications are the vendors' and are not kept here. They are read from the folder VENDOR_SPECS:
every .json, .yaml or .yml file under `<vendor>/`, and GitHub's from the package @octokit/openapi
installed there (npm install --prefix FOLDER @octokit/openapi). Where there are none, nothing is
checked, and `test_specifications` says so.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import yaml

from connectors.sandbox.store import Json
from tests.vendors.double import Exchange, Vendor

FOLDER = os.environ.get("VENDOR_SPECS", "")
_PACKAGES = {"github": "node_modules/@octokit/openapi/generated/api.github.com.json"}
_METHODS = ("get", "post", "put", "patch", "delete")
_PLACE = re.compile(r"\{[^{}]+\}")


@dataclass(frozen=True)
class Specified:
    """One operation of a vendor's specification."""

    method: str
    template: str
    path: re.Pattern[str]
    operation: Json
    parameters: tuple[Json, ...]
    document: Json


def files_of(vendor: str) -> list[Path]:
    """The files of that vendor's specification that are there."""
    if not FOLDER:
        return []
    package = Path(FOLDER) / _PACKAGES.get(vendor, "-")
    found = sorted((Path(FOLDER) / vendor).glob("**/*"))
    return [
        one
        for one in (package, *found)
        if one.suffix in {".json", ".yaml", ".yml"} and one.is_file()
    ]


def held_against(double: Vendor) -> set[tuple[str, str]]:
    """Hold everything the double was asked and answered against the vendor's specification.

    Raises AssertionError. Answers with the operations that were checked; none, where there is no
    specification.
    """
    checked = set()
    for exchange in double.heard:
        found = _find(double.name, exchange)
        if found is not None:
            _check(found, exchange, double.unspecified)
            checked.add((found.method.upper(), found.template))
    return checked


def _find(vendor: str, exchange: Exchange) -> Specified | None:
    fitting = [
        one
        for one in _specified(vendor)
        if one.method == exchange.method.lower() and one.path.fullmatch(exchange.path)
    ]
    # a fixed word before a place: /tickets/count before /tickets/{ticket}
    return min(fitting, key=lambda one: (_is_cut(one), one.template.count("{")), default=None)


def _is_cut(one: Specified) -> bool:
    """Whether what it takes is described somewhere that is not there."""
    body = one.operation.get("requestBody")
    wanted = _json_schema(body, one.document) or {}
    return any(not _resolved(one.document, {"$ref": ref}) for ref in _references(wanted))


@cache
def _specified(vendor: str) -> tuple[Specified, ...]:
    return tuple(one for file in files_of(vendor) for one in _operations(_document(file)))


def _document(file: Path) -> Json:
    text = file.read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = json.loads(text) if file.suffix == ".json" else yaml.load(text, loader)  # noqa: S506
    return found if isinstance(found, dict) else {}


def _operations(document: Json) -> Iterator[Specified]:
    servers = {urlsplit(str(one.get("url", ""))).path for one in document.get("servers", [])}
    for template, item in document.get("paths", {}).items():
        shared = item.get("parameters", [])
        for method in _METHODS:
            if not isinstance(operation := item.get(method), dict):
                continue
            parameters = [
                _resolved(document, one) for one in (*shared, *operation.get("parameters", []))
            ]
            # slices leave the version in the server's address out
            before = "|".join(
                [*(re.escape(one.rstrip("/")) for one in servers), "(?:/api/v[0-9])?"]
            )
            parts = _PLACE.split(template)
            path = "[^/]+".join(re.escape(part) for part in parts)
            yield Specified(
                method,
                template,
                re.compile(f"(?:{before}){path}"),
                operation,
                tuple(parameters),
                document,
            )


def _check(one: Specified, exchange: Exchange, unspecified: Mapping[str, str]) -> None:
    where = f"{one.method.upper()} {one.template}"
    declared = {found.get("name") for found in one.parameters if found.get("in") == "query"}
    strange = set(exchange.query) - declared - set(unspecified)
    assert not strange, f"{where}: parameters nobody declares: {sorted(strange)}"
    wanted = _json_schema(one.operation.get("requestBody"), one.document)
    if exchange.body is not None and wanted is not None:
        _hold(f"{where}, what we send", exchange.body, wanted, one.document, unspecified)
    said = one.operation.get("responses", {}).get(str(exchange.status))
    answer = _json_schema(said, one.document)
    if exchange.answer is not None and answer is not None:
        relaxed = _without_required(_whole(answer, one.document))
        _hold(
            f"{where}, what the double answers",
            exchange.answer,
            answer,
            one.document,
            unspecified,
            relaxed,
        )


def _hold(
    where: str, value: Any, schema: Json, document: Json, unspecified: Mapping[str, str],
    whole: Json | None = None,
) -> None:  # fmt: skip
    kind = (
        jsonschema_rs.Draft4Validator
        if str(document.get("openapi", "")).startswith("3.0")
        else jsonschema_rs.Draft202012Validator
    )
    validator = kind(whole or _whole(schema, document))
    problems = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]
    problems += [
        f"{name} is declared nowhere"
        for name in _undeclared(value, schema, document, "")
        if name.rpartition(".")[2] not in unspecified
    ]
    assert not problems, f"{where}: {problems}"


def _whole(schema: Json, document: Json) -> Json:
    """The schema with everything it refers to, as JSON Schema has it (`nullable` is OpenAPI's)."""
    return {**_nullable(_reachable(schema, document)), **_nullable(schema)}


def _reachable(schema: Json, document: Json) -> Json:
    """Only those components that the schema refers to, however far."""
    found: dict[str, Any] = {}
    left = [schema]
    while left:
        for reference in _references(left.pop()):
            if reference not in found:
                found[reference] = _resolved(document, {"$ref": reference})
                left.append(found[reference])
    components: Json = {}
    for reference, value in found.items():
        *folders, name = reference.removeprefix("#/").split("/")
        place = components
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = value
    return components


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _nullable(node: Any) -> Any:
    if isinstance(node, list):
        return [_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {
        key: _nullable(value)
        for key, value in node.items()
        if key not in {"example", "examples", "default", "format"} or isinstance(value, dict)
    }
    if node.get("nullable") is True:
        if isinstance(found.get("type"), str):
            found["type"] = [found["type"], "null"]
        if isinstance(found.get("enum"), list) and None not in found["enum"]:
            found["enum"] = [*found["enum"], None]
        if "type" not in found:
            found = {"anyOf": [found, {"type": "null"}]}
    return found


def _without_required(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_required(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _without_required(value)
        for key, value in node.items()
        if not (key == "required" and isinstance(value, list))
    }


def _resolved(document: Json, node: Json) -> Json:
    """The node a reference leads to; {} for one that leads nowhere, which some vendors publish."""
    while "$ref" in node:
        found: Any = document
        for part in str(node["$ref"]).removeprefix("#/").split("/"):
            found = (
                found.get(part.replace("~1", "/").replace("~0", "~"), {})
                if isinstance(found, dict)
                else {}
            )
        node = found
    return node


def _json_schema(holder: Any, document: Json) -> Json | None:
    if not isinstance(holder, dict):
        return None
    content = _resolved(document, holder).get("content", {})
    found = content.get("application/json", {}).get("schema")
    return found if isinstance(found, dict) and found else None


def _undeclared(value: Any, schema: Json, document: Json, path: str) -> Iterator[str]:
    """Keys that the schema does not name, although it names others."""
    schemas = list(_alternatives(schema, document))
    if not all(schemas):  # anything, or described somewhere that is not there
        return
    if isinstance(value, list):
        items = [one["items"] for one in schemas if isinstance(one.get("items"), dict)]
        for item in value if items else []:
            yield from _undeclared(item, {"anyOf": items}, document, path)
    if not isinstance(value, dict):
        return
    named: dict[str, list[Json]] = {}
    for one in schemas:
        for name, found in one.get("properties", {}).items():
            named.setdefault(name, []).append(found)
    anything = [
        one["additionalProperties"]
        for one in schemas
        if "additionalProperties" in one and not one.get("properties")
    ]
    for name, item in value.items():
        if name in named:
            yield from _undeclared(item, {"anyOf": named[name]}, document, f"{path}.{name}")
        elif named and not anything:
            yield f"{path}.{name}"


def _alternatives(schema: Any, document: Json) -> Iterator[Json]:
    if not isinstance(schema, dict):
        return
    schema = _resolved(document, schema)
    yield schema
    for word in ("allOf", "anyOf", "oneOf"):
        for one in schema.get(word, []):
            yield from _alternatives(one, document)
