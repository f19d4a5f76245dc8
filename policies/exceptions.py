"""What policy services refuse, with a stable code and a sentence a person can act on."""

from __future__ import annotations


class PolicyError(Exception):
    """A refusal of this room. `code` is stable; `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
