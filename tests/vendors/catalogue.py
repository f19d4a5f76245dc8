"""Every vendor whose file the product brings: its double and its cases.

A vendor's module in `tests.vendors.doubles` has one class that is a `Vendor`, and CASES.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from importlib import import_module

from connectors.declared.file import Operation, SystemFile
from connectors.declared.files import PRODUCT
from connectors.declared.parse import parse
from tests.vendors import doubles
from tests.vendors.cases import Case
from tests.vendors.double import Vendor


@dataclass(frozen=True)
class Described:
    """One vendor: what the product says of it, and what plays it."""

    name: str
    file: SystemFile
    double: type[Vendor]
    cases: tuple[Case, ...]

    def operation(self, key: str) -> Operation:
        return next(one for one in self.file.operations if one.type.key == key)


@dataclass(frozen=True)
class Subject:
    """One operation of one vendor, for the contract suite."""

    vendor: Described
    case: Case

    def __str__(self) -> str:
        return f"{self.vendor.name}-{self.case.operation}"

    @property
    def operation(self) -> Operation:
        return self.vendor.operation(self.case.operation)


def _described(name: str) -> Described:
    module = import_module(f"{doubles.__name__}.{name}")
    (double,) = (
        found
        for found in vars(module).values()
        if isinstance(found, type)
        and issubclass(found, Vendor)
        and found.__module__ == module.__name__
    )
    path = PRODUCT / f"{double.name}.yaml"
    return Described(double.name, parse(path.read_text(), path.stem), double, module.CASES)


VENDORS = {
    found.name: found
    for found in (_described(module.name) for module in pkgutil.iter_modules(doubles.__path__))
}
SUBJECTS = tuple(Subject(vendor, case) for vendor in VENDORS.values() for case in vendor.cases)
