"""What acts without asking: calls and tools of an agent that do not go through Countersign.

    countersign scan PATH

Python is read by its syntax tree and never imported; MCP clients' files are read as data. A run
finds what it knows; what it could not see is part of every report.
"""

from .report import Report
from .run import scan

__all__ = ["Report", "scan"]
