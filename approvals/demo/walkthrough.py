"""What to look at first, printed when the demo starts."""

from __future__ import annotations

from typing import Any

from approvals.demo.cases import CASES
from approvals.demo.world import PASSWORD


def walkthrough(summary: dict[str, Any]) -> str:
    """The demo's accounts and a five-minute tour, as plain text."""
    base_url = summary["base_url"]
    people = "\n".join(
        f"    {a['username']:<8} {', '.join(a['groups'])}" for a in summary["accounts"]
    )
    cases = "\n".join(f"    {c.becomes:<18} {c.title}" for c in CASES)
    return f"""
Countersign is at {base_url}/admin/   (everybody's password: {PASSWORD})

{people}

  A minute after the start the scripted agents' cases stand like this:

{cases}

  Five minutes:
    1. As fiona (finance): the refund of a customer who complained. Read why it is here, approve
       it, and watch it become audited within seconds.
    2. As mona (manager): the 1,200.00 EUR refund. It is above her limit; the page says who can.
       As max: approve it.
    3. As olga (finance, but she owns the refund agent): the page tells her why she may not.
    4. As susi (support): approve the e-mail with edits. As sam: approve the edited text.
    5. As omar (operations): the CRM stage change; look at the difference, approve, then undo it.
       Start the robot task, and watch. Resolve the shipment whose outcome nobody knows.
    6. As sara and olive: the access right for Jonas needs both. Sign off the one for Mia.
    7. As ada (auditor): Records and Trail. Then, in another terminal:
       .venv/bin/python manage.py verify_audit
    8. As rita (risk owner): her draft raises the limit for automatic refunds and runs in the
       shadow. Replay it over the requests so far, see the sum, ask for publication. As rolf:
       publish it.
    9. As petra (ops admin): give fiona a limit of 750.00 EUR. It waits; as paul: agree to it.
   10. As max: pause payments and see it said on every page; only petra or paul lift it. Under
       Records, open a request of tier 4 and break the glass. As sara: review the emergency.

  API: {base_url}/api/v1/docs/ · keys and addresses for scripts: var/demo.json
  What really happened at the outside systems: {summary["sandbox"]["payments"]}/_effects
"""
