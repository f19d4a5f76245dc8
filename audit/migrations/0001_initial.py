"""The trail: events, and the streams that are nobody else's."""

from django.db import migrations, models

import audit.models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AuditStream",
            fields=[
                ("audit_seq", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "audit_head",
                    models.CharField(blank=True, default="", editable=False, max_length=64),
                ),
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("subject_type", models.CharField(max_length=60)),
                ("subject_id", models.CharField(max_length=40)),
                ("seq", models.PositiveIntegerField()),
                ("code", models.CharField(choices=audit.models.code_choices, max_length=40)),
                (
                    "actor_kind",
                    models.CharField(
                        choices=[("human", "person"), ("agent", "agent"), ("system", "system")],
                        max_length=6,
                    ),
                ),
                ("actor_id", models.CharField(max_length=40)),
                ("actor_name", models.CharField(max_length=150)),
                ("at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        blank=True,
                        help_text="The subject's state once this had happened.",
                        max_length=24,
                    ),
                ),
                ("data", models.TextField(help_text="Canonical JSON (RFC 8785).")),
                ("key_id", models.CharField(max_length=8)),
                ("mac", models.CharField(max_length=64)),
            ],
            options={
                "verbose_name": "event",
                "verbose_name_plural": "trail",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["actor_id", "id"], name="audit_event_actor"),
                    models.Index(fields=["code", "id"], name="audit_event_code"),
                    models.Index(fields=["at", "id"], name="audit_event_at"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("subject_type", "subject_id", "seq"), name="audit_event_seq_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("seq__gte", 1)), name="audit_event_seq_starts_at_one"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("actor_kind__in", ["human", "agent", "system"])),
                        name="audit_event_actor_kind_known",
                    ),
                ],
            },
        ),
    ]
