"""Requests that were changed behind the application's back, kept for people to see."""

import django.db.models.deletion
from django.db import migrations, models

from audit.protection import forbid_changes


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0010_frozen_after_a_restore"),
        ("audit", "0002_events_are_append_only"),
    ]

    operations = [
        migrations.CreateModel(
            name="IntegrityIncident",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "fingerprint",
                    models.CharField(help_text="SHA-256 of what was found.", max_length=64),
                ),
                ("problem", models.CharField(max_length=500)),
                (
                    "found_by",
                    models.CharField(
                        choices=[
                            ("review", "somebody who opened the review page"),
                            ("decision", "somebody who was about to decide"),
                            ("execution", "the worker that was about to carry it out"),
                        ],
                        max_length=9,
                    ),
                ),
                ("found_at", models.DateTimeField()),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="integrity_incidents",
                        to="approvals.actionrequest",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["found_at"], name="approvals_integrity_found")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("request", "fingerprint"), name="approvals_integrity_incident_once"
                    )
                ],
            },
        ),
        forbid_changes("approvals_integrityincident"),
    ]
