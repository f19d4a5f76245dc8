"""The outside systems, running for every test of the lifecycle."""

from tests.connectors.conftest import sandbox

__all__ = ["sandbox"]
