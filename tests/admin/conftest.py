"""The outside systems, running for every test of the pages."""

from tests.connectors.conftest import sandbox

__all__ = ["sandbox"]
