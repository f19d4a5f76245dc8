"""SQLite forgets the triggers of tables the migration before this one rebuilt."""

from django.db import migrations

from audit.protection import forbid_changes

TABLES = ("approvals_decision", "approvals_escalation")


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0004_counting_stopping_lending"),
        ("audit", "0002_events_are_append_only"),
    ]

    operations = [forbid_changes(table) for table in TABLES]
