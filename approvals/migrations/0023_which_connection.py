from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0022_requirements_say_whom_they_found"),
    ]

    operations = [
        migrations.AddField(
            model_name="execution",
            name="connection",
            field=models.CharField(
                blank=True, help_text="Which one its calls go through.", max_length=60
            ),
        ),
        migrations.AddField(
            model_name="grant",
            name="connection",
            field=models.CharField(
                blank=True, help_text="Which one it may go through, as it was then.", max_length=60
            ),
        ),
        migrations.AddField(
            model_name="targetreading",
            name="connection",
            field=models.CharField(
                blank=True,
                help_text="Which one it was read through, as it was then.",
                max_length=60,
            ),
        ),
    ]
