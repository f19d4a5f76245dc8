"""What was proposed, shown, decided, said and read back stays as it was written."""

from django.db import migrations

from audit.protection import forbid_changes

TABLES = (
    "approvals_requestcontent",
    "approvals_evidenceitem",
    "approvals_targetreading",
    "approvals_policydecision",
    "approvals_showncontent",
    "approvals_decision",
    "approvals_threadentry",
    "approvals_verification",
    "approvals_escalation",
)


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0001_initial"),
        ("audit", "0002_events_are_append_only"),
    ]

    operations = [forbid_changes(table) for table in TABLES]
