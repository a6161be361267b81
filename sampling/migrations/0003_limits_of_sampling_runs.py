import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sampling", "0002_count_rejected_lines")]

    operations = [
        migrations.AlterField(
            model_name="samplingrun",
            name="temperature",
            field=models.FloatField(
                default=1.0,
                validators=[
                    django.core.validators.MinValueValidator(0.0),
                    django.core.validators.MaxValueValidator(2.0),
                ],
            ),
        ),
        migrations.AlterField(
            model_name="samplingrun",
            name="prompt_limit",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Only the first so many prompts.",
                null=True,
                validators=[django.core.validators.MinValueValidator(1)],
            ),
        ),
    ]
