from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0018_evidence_from_people")]

    operations = [
        migrations.AddField(
            model_name="actionrequest",
            name="chain",
            field=models.CharField(
                blank=True,
                db_default="",  # for processes of the release before
                default="",
                help_text="Fixed by us.",
                max_length=64,
            ),
        ),
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(
                condition=models.Q(("chain", ""), _negated=True),
                fields=["chain", "id"],
                name="approvals_request_chain",
            ),
        ),
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(
                condition=models.Q(("session", ""), _negated=True),
                fields=["agent", "id"],
                name="approvals_request_in_session",
            ),
        ),
    ]
