from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("policies", "0004_rows_that_stay")]

    operations = [
        migrations.AddField(
            model_name="policyversion",
            name="kind",
            field=models.CharField(
                choices=[("ordinary", "policy"), ("floor", "floor")],
                db_default="ordinary",  # for processes of the release before
                default="ordinary",
                max_length=8,
            ),
        ),
        migrations.RemoveConstraint(
            model_name="policyversion", name="policies_one_published_version"
        ),
        migrations.AddConstraint(
            model_name="policyversion",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "published")),
                fields=("kind",),
                name="policies_one_published_of_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="policyversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["ordinary", "floor"])),
                name="policies_version_kind_known",
            ),
        ),
        migrations.AddField(
            model_name="backtest",
            name="beside",
            field=models.ForeignKey(
                help_text="What it was evaluated together with: the floor then, or for a floor "
                "the policy.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="policies.policyversion",
            ),
        ),
    ]
