"""Which action types exist, and which connector carries each out. Unknown names raise."""

from __future__ import annotations
