from __future__ import annotations

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models.functions import Now


def look_at_all_that_wait(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Each is looked at once, and then as its own clock says."""
    requests = apps.get_model("approvals", "ActionRequest").objects
    requests.filter(state="pending_approval").update(next_step_at=Now())


class Migration(migrations.Migration):
    dependencies = [("approvals", "0014_break_glass_approvals_by_their_name")]

    operations = [
        migrations.AddField(
            model_name="actionrequest",
            name="next_step_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When time next announces, reminds or escalates.",
                null=True,
            ),
        ),
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(
                condition=models.Q(state="pending_approval"),
                fields=["next_step_at", "id"],
                name="approvals_request_next_step",
            ),
        ),
        migrations.RunPython(look_at_all_that_wait, migrations.RunPython.noop),
    ]
