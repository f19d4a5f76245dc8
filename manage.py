#!/usr/bin/env python
"""Runs Countersign's commands."""

import os
import sys

from django.core.management import execute_from_command_line

from config.start import one_sentence


def main() -> None:
    """Run one command with the project's settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    with one_sentence():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
