"""Reads a system's file as the product does, and tries it with --live."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from sqlalchemy.schema import CreateTable

from audit.lib.yaml_source import YamlError
from connectors.adapters.mcp.file import ToolFile, parse_tools, speaks_mcp
from connectors.adapters.records.client import APPLIED_CHANGES
from connectors.adapters.records.tables import TableFile, describes_tables, parse_tables
from connectors.base import Action, ConnectorError
from connectors.catalogue import ActionType
from connectors.connections import route_of
from connectors.declared.agents_own import AgentFile, is_for_agents, parse_for_agents
from connectors.declared.file import SystemFile
from connectors.declared.files import FolderError, files, packaged, product_files
from connectors.declared.parse import parse
from connectors.probes import probe
from connectors.registry import action_types, connector_for, systems


class Command(BaseCommand):
    """Lint; with --live also the probe, and the preview of each example. Only reads."""

    help = "Check one system: its file, and with --live whether its connection answers."
    requires_system_checks = ()  # the file may be what they refuse

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="a system's name, or a file that is to become one")
        parser.add_argument("--live", action="store_true", help="probe it, preview its examples")

    def handle(self, *args: Any, name: str, live: bool, **options: Any) -> None:
        path = _path_of(name)
        if path is None:
            self._say_adapter(name, live)
            return
        try:
            content = path.read_text(encoding="utf-8")
            if describes_tables(content):
                self._say_tables(parse_tables(content, path.stem), live)
                return
            if speaks_mcp(content):
                self._say_tools(parse_tools(content, path.stem), live)
                return
            if is_for_agents(content):
                self._say_for_agents(parse_for_agents(content, path.stem), live)
                return
            file = parse(content, path.stem)
        except YamlError as error:
            raise CommandError(f"{path}\n{error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read: {error}") from error
        card = file.card
        self.stdout.write(f"{card.title} ({card.system}), {card.api_version}: no mistakes.")
        for operation in file.operations:
            self.stdout.write(f"  {_line(operation.type)}")
        if live:
            self._try(file)

    def _say_adapter(self, name: str, live: bool) -> None:
        """One that is a folder of Python: checked when it is loaded, and without examples."""
        kinds = [one for one in action_types() if one.system == name]
        self.stdout.write(f"{name}: {len(kinds)} action types, in Python; no file to check.")
        for kind in kinds:
            self.stdout.write(f"  {_line(kind)}")
        if live:
            self._probe(kinds[0])
            self.stdout.write("Proved: it answers. Nothing was previewed: it has no examples.")

    def _say_tables(self, file: TableFile, live: bool) -> None:
        self.stdout.write(f"{file.card.title} ({file.card.system}): no mistakes.")
        for one in file.tables:
            columns = ", ".join(one.columns)
            held = one.version or "the columns changed"
            self.stdout.write(f"  {one.type.key}: {one.name} ({columns}); keyed, held to {held}")
        self.stdout.write("  Beside them it needs a table for the keys of what was done:")
        self.stdout.write(str(CreateTable(APPLIED_CHANGES)).strip())
        if live:
            self._probe(file.tables[0].type)
            self.stdout.write("Proved: it answers. Nothing was previewed: tables have no examples.")

    def _say_tools(self, file: ToolFile, live: bool) -> None:
        self.stdout.write(f"{file.card.title} ({file.card.system}), {file.card.api_version}.")
        for one in file.operations:
            read_back = f"read back by {one.read_back.tool}" if one.read_back else "never verified"
            self.stdout.write(f"  {one.type.key}: calls {one.tool} once; {read_back}")
        if live:
            kind = file.operations[0].type
            self._probe(kind)
            if changes := connector_for(kind).changes():  # type: ignore[attr-defined]
                raise CommandError("\n".join(changes))
            self.stdout.write("Proved: it answers, and every tool is the one that was reviewed.")

    def _say_for_agents(self, file: AgentFile, live: bool) -> None:
        self.stdout.write(f"{file.card.title} ({file.card.system}): no mistakes.")
        for one in file.operations:
            minutes = int(one.type.lease.total_seconds() // 60)
            self.stdout.write(
                f"  {one.type.key}: {one.type.title}; carried out by the agent, which reports "
                f"within {minutes} minutes; never verified here"
            )
        if live:
            self.stdout.write("Proved: nothing. There is no connection to try: agents do it.")

    def _probe(self, kind: ActionType) -> None:
        route = route_of(kind.key, kind.system)
        if route is None:
            raise CommandError(f"{kind.system} is not configured: it has no address.")
        if problem := probe(route):
            raise CommandError(problem)
        self.stdout.write(f"  {route.address}: answers.")

    def _try(self, file: SystemFile) -> None:
        problems, previewed = [], 0
        first, *_ = file.operations
        route = route_of(first.type.key, file.card.system)
        if route is None:
            raise CommandError(f"{file.card.system} is not configured: it has no address.")
        problem = probe(route)
        self.stdout.write(f"  {route.address}: {problem or 'answers.'}")
        for operation in file.operations:
            if operation.example is None:
                continue
            try:
                action = Action(operation.type.key, operation.example)
                preview = connector_for(operation.type).preview(action)
                self.stdout.write(f"  {operation.type.key}: {preview.before} -> {preview.after}")
                previewed += 1
            except ConnectorError as error:
                problems.append(f"{operation.type.key}: {error}")
        self.stdout.write(_proved(file, is_in=not problem, previewed=previewed))
        if problem or problems:
            raise CommandError("\n".join(filter(None, [problem, *problems])))


def _path_of(name: str) -> Path | None:
    """Its file; None for a system that is a folder of Python."""
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    try:
        own = {path.stem: path for path in files(settings.SYSTEMS_PATH, settings.SYSTEMS)}
    except FolderError as error:
        raise CommandError(str(error)) from error
    known = {**product_files(), **own}
    for point in packaged():
        brought = point.load()
        if isinstance(brought, Path):
            known[point.name] = brought
    if name in known:
        return known[name]
    adapters = {system.name for system in systems()} - known.keys()
    if name in adapters:
        return None
    there = ", ".join(sorted({*known, *adapters}))
    raise CommandError(f"There is no system {name}. There are: {there}.")


def _proved(file: SystemFile, *, is_in: bool, previewed: int) -> str:
    """What a look at the configured account proved, and what it did not."""
    signed_in = "answers and takes the credential" if file.card.probe else "answers"
    proved = ["the file has no mistakes", *([f"the account {signed_in}"] if is_in else [])]
    if previewed:
        proved.append(f"{previewed} of {len(file.operations)} operations read their target")
    writes = "Nothing was written, so no write is proved, nor that the credential may make one."
    return f"Proved: {'; '.join(proved)}. {writes}"


def _line(kind: ActionType) -> str:
    promise = kind.at_most_once
    look_up = ", can be looked up" if promise.can_look_up else ""
    return f"{kind.key}: {kind.title}; {promise.proof.value}{look_up}; {kind.reversibility.value}"
