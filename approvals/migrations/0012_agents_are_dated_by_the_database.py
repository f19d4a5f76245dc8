"""Agents, budgets and keys are dated by the service that makes them; the columns stay as they are.

Only Django's own description changes: SQLite would otherwise copy the tables for nothing.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar = [("approvals", "0011_what_was_changed_behind_our_back")]

    operations: ClassVar[list[Operation]] = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField("agent", "created_at", models.DateTimeField()),
                migrations.AlterField("agentbudget", "created_at", models.DateTimeField()),
                migrations.AlterField("agentkey", "created_at", models.DateTimeField()),
                migrations.AlterField("historicalagent", "created_at", models.DateTimeField()),
            ]
        ),
    ]
