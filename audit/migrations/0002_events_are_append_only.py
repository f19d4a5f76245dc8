"""No event is ever changed or removed, whoever asks."""

from django.db import migrations

from audit.protection import forbid_changes


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [forbid_changes("audit_auditevent")]
