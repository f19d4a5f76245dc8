"""The database's clock, by the name this app has always known it."""

from audit.clock import now

__all__ = ["now"]
