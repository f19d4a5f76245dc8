"""Every system there is: Python in `connectors.adapters`, files, and what packages bring.

Files are in `connectors/systems`, as far as `SYSTEMS` names them, and in the installation's folders
(`SYSTEMS_PATH`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from audit.lib.money import Money
from audit.lib.yaml_source import YamlError
from connectors.adapters.email import actions as email
from connectors.adapters.email.connector import EmailConnector, Recipient
from connectors.adapters.iam import actions as iam
from connectors.adapters.iam.connector import IamConnector
from connectors.adapters.ldap import actions as ldap
from connectors.adapters.ldap.connector import LdapConnector
from connectors.adapters.mcp.connector import ToolsConnector
from connectors.adapters.mcp.file import parse_tools, speaks_mcp
from connectors.adapters.payments import actions as payments
from connectors.adapters.payments.connector import PaymentsConnector
from connectors.adapters.payments.transfers import PurchaseOrder
from connectors.adapters.records import actions as records
from connectors.adapters.records.client import RecordsClient
from connectors.adapters.records.connector import RecordsConnector, customer_facts, customer_record
from connectors.adapters.records.table_connector import TablesConnector
from connectors.adapters.records.tables import describes_tables, parse_tables
from connectors.addresses import with_password
from connectors.base import Connector
from connectors.catalogue import ActionType
from connectors.declared.agents_own import AgentsOwn, is_for_agents, parse_for_agents
from connectors.declared.connector import DeclaredConnector
from connectors.declared.files import FolderError, files, packaged
from connectors.declared.parse import parse
from connectors.system import Settings, System


class SystemsError(Exception):
    """What is declared cannot be used; `problems` says where and what to do, one a line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Registered:
    """Every system and every action type, by name and by key."""

    systems: Mapping[str, System]
    types: Mapping[str, ActionType]


@lru_cache(maxsize=4)
def load(folders: tuple[str, ...], named: tuple[str, ...] = ()) -> Registered:
    """The product's systems, those `named` among them, the folders' and those of packages.

    Raises SystemsError with everything that is wrong with any of them.
    """
    problems: list[str] = []
    vendors = (system for system in _OF_VENDORS if system.name in named)
    found = [*_IN_PYTHON, *vendors, *_in_files(folders, named, problems), *_in_packages(problems)]
    by_name: dict[str, System] = {}
    by_key: dict[str, ActionType] = {}
    for system in found:
        if system.name in by_name:
            problems.append(f"Two systems have the name {system.name}; rename one.")
        by_name[system.name] = system
        for kind in system.action_types:
            if kind.key in by_key:
                owner = by_key[kind.key].system
                problems.append(
                    f"{system.name} and {owner} both declare {kind.key}; have one of them, or a "
                    "file of your own that names it otherwise."
                )
            by_key[kind.key] = kind
    for kind in by_key.values():
        undone_by = by_key.get(kind.undo_type)
        if kind.undo_type and (undone_by is None or undone_by.system != kind.system):
            problems.append(
                f"{kind.key} is undone by {kind.undo_type}, which {kind.system} does not declare."
            )
    if problems:
        raise SystemsError(problems)
    return Registered(MappingProxyType(by_name), MappingProxyType(by_key))


def _in_files(
    folders: tuple[str, ...], named: tuple[str, ...], problems: list[str]
) -> Iterator[System]:
    try:
        for path in files(folders, named):
            yield from _declared(path, problems)
    except FolderError as error:
        problems.append(str(error))


def _in_packages(problems: list[str]) -> Iterator[System]:
    for point in packaged():
        try:
            brought = point.load()
        except Exception as error:  # whatever a package does when it is imported
            problems.append(f"The package of the system {point.name} cannot be loaded: {error!r}.")
            continue
        if isinstance(brought, Path):
            yield from _declared(brought, problems)
        elif isinstance(brought, System) and brought.name == point.name:
            yield brought
        else:
            problems.append(f"The entry point {point.name} is neither a System nor a Path to one.")


def _declared(path: Path, problems: list[str]) -> Iterator[System]:
    try:
        content = path.read_text(encoding="utf-8")
        if describes_tables(content):
            yield _tables(content, path.stem)
            return
        if speaks_mcp(content):
            yield _of_tools(content, path.stem)
            return
        if is_for_agents(content):
            yield _for_agents(content, path.stem)
            return
        file = parse(content, path.stem)
    except YamlError as error:
        problems += [f"{path}: {problem}" for problem in error.problems]
        return
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path} cannot be read ({error}).")
        return

    def build(config: Settings) -> Connector:
        values = config[file.card.system]
        return DeclaredConnector(file, values["base_url"], values.get("token", ""))

    kinds = tuple(operation.type for operation in file.operations)
    yield System(file.card.system, file.card.title, kinds, build, file.card)


def _for_agents(content: str, name: str) -> System:
    """The system whose actions agents carry out themselves. Raises YamlError."""
    file = parse_for_agents(content, name)
    kinds = tuple(one.type for one in file.operations)
    return System(name, file.card.title, kinds, lambda config: AgentsOwn(file), file.card)


def _of_tools(content: str, name: str) -> System:
    """The system whose file lists tools of another MCP server. Raises YamlError."""
    file = parse_tools(content, name)

    def build(config: Settings) -> Connector:
        values = config[name]
        return ToolsConnector(file, values["base_url"], values.get("token", ""))

    kinds = tuple(one.type for one in file.operations)
    return System(name, file.card.title, kinds, build, file.card)


def _tables(content: str, name: str) -> System:
    """The system whose file lists tables of a database. Raises YamlError."""
    opened = parse_tables(content, name)

    def build(config: Settings) -> Connector:
        values = config[name]
        password = values.get("token", "")
        url = values["base_url"]
        return TablesConnector(opened, with_password(url, password) if password else url)

    kinds = tuple(one.type for one in opened.tables)
    return System(name, opened.card.title, kinds, build, opened.card)


def _payments(config: Settings) -> Connector:
    values, orders = config["payments"], config.get("records", {}).get("url")

    def find_order(number: str) -> PurchaseOrder | None:
        row = RecordsClient(orders).purchase_order(number) if orders else None
        if row is None:
            return None
        total = Money(row["total_minor"], row["currency"])
        quantities = (row["ordered"], row["received"], row["invoiced"])
        return PurchaseOrder(row["id"], row["vendor"], total, *quantities)

    return PaymentsConnector(values["base_url"], values["api_key"], find_order)


def _email(config: Settings) -> Connector:
    mail, customers = config["email"], config.get("records", {}).get("url")

    def find_recipient(address: str) -> Recipient | None:
        if not customers:
            return None
        account = RecordsClient(customers).account_by_email(address)
        return Recipient(customer_record(account), customer_facts(account)) if account else None

    return EmailConnector(mail["url"], mail["sender"], mail["archive_url"], find_recipient)


def _records(config: Settings) -> Connector:
    return RecordsConnector(config["records"]["url"])


def _ldap(config: Settings) -> Connector:
    values = config["ldap"]
    return LdapConnector(values["url"], values["groups"], values["users"], values["disabled_by"])


def _iam(config: Settings) -> Connector:
    values = config["iam"]
    return IamConnector(values["base_url"], values["token"], values["allowed"])


_OF_VENDORS = (
    System("iam", "AWS IAM", iam.ACTION_TYPES, _iam),
    System("ldap", "Directory (LDAP)", ldap.ACTION_TYPES, _ldap),
)
_IN_PYTHON = (
    System("payments", "Payments", payments.ACTION_TYPES, _payments),
    System("email", "E-mail", email.ACTION_TYPES, _email),
    System("records", "Customer and order database", records.ACTION_TYPES, _records),
)
