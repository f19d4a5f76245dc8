"""The pages of this room; importing them registers them."""

from policies.admin import limits, people, roles, versions

__all__ = ["limits", "people", "roles", "versions"]
