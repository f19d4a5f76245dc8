"""Drawing the lifecycle from the state machine itself, for README and whoever asks."""

from __future__ import annotations

from approvals.choices import ENDED, INTAKE, State
from approvals.models import ActionRequest

BEGIN = "<!-- lifecycle: written by `manage.py lifecycle --write` -->"
END = "<!-- end of lifecycle -->"


def edges() -> list[tuple[State, str, State]]:
    """Every move: from, by, to; in the order states are declared."""
    order = list(State)
    field = ActionRequest._meta.get_field("state")
    moves = {
        (State(t.source), t.name, State(t.target)) for t in field.get_all_transitions(ActionRequest)
    }
    return sorted(moves, key=lambda m: (order.index(m[0]), order.index(m[2]), m[1]))


def mermaid() -> str:
    """The graph as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    direction TB", f"    [*] --> {State.REQUESTED}"]
    lines += [f"    {source} --> {target}: {name}" for source, name, target in edges()]
    lines += [f"    {state} --> [*]" for state in State if state in ENDED]
    lines += [
        "    classDef intake fill:#eef2ff,stroke:#6366f1,color:#1e1b4b",
        "    classDef ended fill:#f3f4f6,stroke:#6b7280,color:#111827",
    ]
    lines += [f"    class {state} intake" for state in State if state in INTAKE]
    lines += [f"    class {state} ended" for state in State if state in ENDED]
    return "\n".join(lines)


def with_picture(text: str) -> str:
    """The text with what stands between the two marks drawn anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n```mermaid\n{mermaid()}\n```\n\n{END}{after}"
