from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0023_which_connection"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="pause",
            name="approvals_pause_has_scope",
        ),
        migrations.AlterField(
            model_name="pause",
            name="key",
            field=models.CharField(
                blank=True,
                help_text="The name of what is paused; empty: everything.",
                max_length=60,
            ),
        ),
        migrations.AlterField(
            model_name="pause",
            name="scope",
            field=models.CharField(
                choices=[
                    ("all", "everything"),
                    ("restored", "everything after a restore"),
                    ("action_type", "action type"),
                    ("connector", "Connector"),
                    ("connection", "Connection"),
                ],
                max_length=11,
            ),
        ),
        migrations.AddConstraint(
            model_name="pause",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("scope__in", ["all", "restored", "action_type", "connector", "connection"]),
                    models.Q(
                        models.Q(("key", ""), ("scope__in", ("all", "restored"))),
                        models.Q(
                            models.Q(("scope__in", ("all", "restored")), _negated=True),
                            models.Q(("key", ""), _negated=True),
                        ),
                        _connector="OR",
                    ),
                ),
                name="approvals_pause_has_scope",
            ),
        ),
    ]
