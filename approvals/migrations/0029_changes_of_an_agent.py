"""An agent's requests in the order of their last change."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0028_triggers_that_fire")]

    operations = [
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(
                fields=["agent", "updated_at", "id"], name="approvals_request_changes"
            ),
        ),
    ]
