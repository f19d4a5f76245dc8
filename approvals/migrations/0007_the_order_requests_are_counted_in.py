"""Who was counted first keeps what they reserved: the order is stored."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0006_find_what_was_done_for_a_counterparty")]

    operations = [
        migrations.AddField(
            model_name="countedrequest",
            name="number",
            # without a default: SQLite then adds the column and keeps the table with its triggers
            field=models.BigIntegerField(
                db_index=True,
                null=True,
                help_text="Higher than all before it; empty: older than these numbers.",
            ),
        ),
    ]
