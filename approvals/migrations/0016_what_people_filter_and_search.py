from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0015_when_the_next_step_is_due"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="requirement",
            name="approvals_requirement_inbox",
        ),
        migrations.RemoveIndex(
            model_name="requirement",
            name="approvals_requirement_escal",
        ),
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(
                condition=models.Q(("state", "pending_approval")),
                fields=["risk_tier", "decide_by", "id"],
                name="approvals_request_tier_due",
            ),
        ),
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(
                condition=models.Q(("state", "pending_approval")),
                fields=["agent", "decide_by", "id"],
                name="approvals_request_agent_due",
            ),
        ),
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(
                condition=models.Q(("state", "pending_approval")),
                fields=["action_type", "decide_by", "id"],
                name="approvals_request_type_due",
            ),
        ),
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(fields=["risk_tier", "id"], name="approvals_request_tier"),
        ),
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "audited",
                            "compensated",
                            "denied",
                            "expired",
                            "failed",
                            "rejected",
                            "resolved",
                            "withdrawn",
                        ],
                    )
                ),
                fields=["state", "id"],
                name="approvals_request_ended",
            ),
        ),
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(
                condition=models.Q(("verdict", "require_approval"), _negated=True),
                fields=["verdict", "id"],
                name="approvals_request_no_people",
            ),
        ),
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(
                fields=["target"],
                name="approvals_request_by_target",
                opclasses=["varchar_pattern_ops"],
            ),
        ),
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(
                fields=["counterparty"],
                name="approvals_request_by_customer",
                opclasses=["varchar_pattern_ops"],
            ),
        ),
        migrations.AddIndex(
            model_name="actionrequest",
            index=models.Index(
                condition=models.Q(("amount_minor__isnull", False)),
                fields=["amount_minor", "id"],
                name="approvals_request_by_amount",
            ),
        ),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(fields=["group", "created_at"], name="approvals_decision_lately"),
        ),
        migrations.AddIndex(
            model_name="requirement",
            index=models.Index(
                fields=["group", "is_open", "request"], name="approvals_requirement_asked"
            ),
        ),
        migrations.AddIndex(
            model_name="requirement",
            index=models.Index(
                condition=models.Q(("alternatives", ""), _negated=True),
                fields=["request"],
                name="approvals_requirement_altern",
            ),
        ),
        migrations.AddIndex(
            model_name="requirement",
            index=models.Index(
                condition=models.Q(
                    ("is_open", True), models.Q(("escalated_to", ""), _negated=True)
                ),
                fields=["group", "request"],
                name="approvals_requirement_left",
            ),
        ),
        migrations.AddIndex(
            model_name="requirement",
            index=models.Index(
                condition=models.Q(("claimed_until__isnull", False), ("is_open", True)),
                fields=["claimed_until"],
                name="approvals_requirement_claimed",
            ),
        ),
        migrations.AddIndex(
            model_name="requirement",
            index=models.Index(
                condition=models.Q(("escalated_to", ""), _negated=True),
                fields=["escalated_to", "is_open", "request"],
                name="approvals_requirement_raised",
            ),
        ),
    ]
