from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0019_requests_of_one_session"),
        ("policies", "0005_a_floor_below_the_policy"),
    ]

    operations = [
        migrations.AddField(
            model_name="policydecision",
            name="floor",
            field=models.ForeignKey(
                blank=True,
                help_text="The floor it was evaluated with.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="policies.policyversion",
                to_field="label",
            ),
        ),
    ]
