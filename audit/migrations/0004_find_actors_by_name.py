from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0003_changes_require_events"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(
                fields=["actor_name"],
                name="audit_event_actor_name",
                opclasses=["varchar_pattern_ops"],
            ),
        ),
    ]
