"""The YAML of a policy document, or the refusal that policy services give."""

from __future__ import annotations

import yaml

from audit.lib import yaml_source
from audit.lib.yaml_source import Problem, YamlError
from policies.exceptions import PolicyError


class DocumentError(PolicyError):
    """The document cannot be a policy; `problems` lists everything found, in reading order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("invalid_document", "\n".join(str(problem) for problem in problems))
        self.problems = problems


def compose(text: str) -> yaml.Node:
    """Parse one YAML document into nodes; raises DocumentError where `audit.lib` refuses it."""
    try:
        return yaml_source.compose(text)
    except YamlError as error:
        raise DocumentError(error.problems) from error
