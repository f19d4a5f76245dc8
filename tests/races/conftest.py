"""The same people and systems as the lifecycle's tests have."""

from tests.approvals.conftest import begins_with, cast, coder

__all__ = ["begins_with", "cast", "coder"]
