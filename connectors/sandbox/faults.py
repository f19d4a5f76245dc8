"""What can be made to go wrong with an answer, and for how many requests."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

MODES = frozenset(
    {
        "apply_then_hang",  # the effect happens, the answer comes `seconds` late
        "apply_then_500",  # the effect happens, the answer says it failed
        "apply_then_reset",  # the effect happens, the connection breaks
        "half_body",  # the effect happens, the answer stops in the middle
        "trickle",  # the effect happens, the answer comes a byte at a time over `seconds`
        "error_500",  # nothing happens, 500
        "reset",  # nothing happens, the connection breaks
        "slow",  # all goes well, `seconds` late
        "refuse",  # nothing happens, a definite refusal
        "busy",  # nothing happens, "try again later"
    }
)
_WRITES_ONLY = frozenset({"apply_then_hang", "apply_then_500", "apply_then_reset"})


@dataclass(slots=True)
class Fault:
    """One planned fault; matches requests whose path begins with `path`."""

    mode: str
    seconds: float = 30.0
    times: int = 1
    path: str = "/"
    method: str = ""  # any, when empty

    @classmethod
    def parse(cls, body: Any) -> Fault:
        """Read the body of `POST /_faults`; raises ValueError naming what is wrong."""
        if not isinstance(body, dict) or body.get("mode") not in MODES:
            raise ValueError(f"mode must be one of: {', '.join(sorted(MODES))}")
        return cls(
            mode=body["mode"],
            seconds=float(body.get("seconds", 30.0)),
            times=int(body.get("times", 1)),
            path=str(body.get("path", "/")),
            method=str(body.get("method", "")).upper(),
        )

    def matches(self, method: str, path: str) -> bool:
        if not path.startswith(self.path) or self.method not in {"", method}:
            return False
        return method not in {"GET", "HEAD"} or self.mode not in _WRITES_ONLY


class Faults:
    """The faults planned for one system; gone after a restart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[Fault] = []

    def plan(self, fault: Fault) -> None:
        with self._lock:
            self._planned.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault this request meets, used up once; None for ordinary service."""
        with self._lock:
            for fault in self._planned:
                if fault.matches(method, path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._planned.remove(fault)
                    return fault
        return None
