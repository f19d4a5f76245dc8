from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0004_find_actors_by_name"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(
                fields=["actor_kind", "code", "id"], name="audit_event_kind_and_code"
            ),
        ),
    ]
