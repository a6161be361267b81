from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sampling", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="promptimport",
            name="rejected_count",
            field=models.PositiveIntegerField(default=0, help_text="All bad lines; only the first are listed."),
        ),
    ]
