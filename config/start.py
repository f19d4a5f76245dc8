"""Every way to start refuses settings it cannot use in one sentence, without a traceback."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured
from environs import EnvError

_INVALID = re.compile(r'\AEnvironment variable "(\w+)" invalid: Not (.+?)\.?\Z', re.DOTALL)


@contextmanager
def one_sentence() -> Iterator[None]:
    """End the process with the sentence and status 1 when the settings cannot be used."""
    try:
        yield
    except (ImproperlyConfigured, EnvError) as error:
        sys.exit(f"Countersign does not start. {_sentence(error)}")


def _sentence(error: Exception) -> str:
    """What is wrong and what to do. The value is not repeated: it may be a secret."""
    found = _INVALID.match(str(error))
    if found is None:
        return str(error)
    return f"{found[1]} is not {found[2]}: correct it or leave it out; .env.example explains it."
