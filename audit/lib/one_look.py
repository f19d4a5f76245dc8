"""A page that only reads looks everything up once.

While one is made, functions marked `once_a_page` remember what they found; the next page asks the
database anew. Nothing is remembered while anything is decided or changed: those are POSTs, tasks
and API calls, and `one_look` is entered for pages somebody opens alone (`config.middleware`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_found: ContextVar[dict[Hashable, Any] | None] = ContextVar("found_by_this_page", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """What is looked up inside is looked up once."""
    token = _found.set({})
    try:
        yield
    finally:
        _found.reset(token)


def looks_once() -> bool:
    """Whether a page is being made, so that reading much at once pays."""
    return _found.get() is not None


def once_a_page(function: Callable[P, T]) -> Callable[P, T]:
    """A function that only reads, with arguments that can be compared; rows compare by their key.

    Callers do not change what it returns.
    """

    @wraps(function)
    def look(*args: P.args, **kwargs: P.kwargs) -> T:
        found = _found.get()
        if found is None:
            return function(*args, **kwargs)
        key = (function, args, tuple(sorted(kwargs.items())))
        if key not in found:
            found[key] = function(*args, **kwargs)
        answer: T = found[key]
        return answer

    return look
