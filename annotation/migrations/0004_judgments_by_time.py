from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0003_indexes_of_the_queue'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='judgment',
            index=models.Index(fields=['created_at'], name='judgments_by_time'),
        ),
    ]
