"""What is suspicious about text an agent supplied. Findings can raise risk, never lower it.

Agent text is data: it is shown as plain text, marked as the agent's, and these flags stand beside
it. Every detector takes time in proportion to the text, whatever the text is: free text meets
RE2 only, which never backtracks, and loops that look at each character a fixed number of times.
"""

from approvals.inspection.amounts import contradicts, stated_amounts
from approvals.inspection.characters import reveal
from approvals.inspection.flags import Flag, inspect, inspect_all, strings_in
from approvals.inspection.markup import misleading_links

__all__ = [
    "Flag",
    "contradicts",
    "inspect",
    "inspect_all",
    "misleading_links",
    "reveal",
    "stated_amounts",
    "strings_in",
]
