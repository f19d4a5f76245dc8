"""What the framework finds wrong with fields, as paths and sentences.

Apart from the serializers, because whoever answers errors reads it without them.
"""

from __future__ import annotations

from typing import Any

from approvals.exceptions import FieldProblem


def field_problems(detail: Any, path: str = "") -> list[FieldProblem]:
    """The framework's nested errors as one list, each with its path, as in "evidence.1.uri"."""
    if isinstance(detail, dict):
        return [
            problem
            for name, inner in detail.items()
            for problem in field_problems(
                inner, path if name == "non_field_errors" else f"{path}.{name}".lstrip(".")
            )
        ]
    if isinstance(detail, (list, tuple)):
        return [
            problem
            for index, inner in enumerate(detail)
            for problem in field_problems(
                inner, f"{path}.{index}" if isinstance(inner, dict) else path
            )
        ]
    return [FieldProblem(field=path, message=str(detail))]
