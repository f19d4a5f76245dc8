"""The same people and systems as the lifecycle's tests have."""

from tests.approvals.conftest import cast

__all__ = ["cast"]
