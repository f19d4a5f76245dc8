"""The pages of this room; importing them registers them."""

from policies.admin import changes, limits, people, rates, roles, versions

__all__ = ["changes", "limits", "people", "rates", "roles", "versions"]
