"""The same people and systems as the lifecycle's tests have."""

from tests.approvals.conftest import cast, sandbox

__all__ = ["cast", "sandbox"]
