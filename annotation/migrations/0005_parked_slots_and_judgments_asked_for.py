from django.db import migrations, models

# Slots that nobody was to have were leased to nobody until the year 9999.
PARK = "UPDATE annotation_slot SET is_parked = true, free_from = now() WHERE NOT is_filled AND free_from >= '9000-01-01'"
UNPARK = "UPDATE annotation_slot SET free_from = '9999-01-01' WHERE is_parked"


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0004_judgments_by_time'),
    ]

    operations = [
        migrations.AddField(
            model_name='comparison',
            name='wanted_at_least',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, help_text='How many a reviewer asked for: no change of the overlap makes it fewer.'),
        ),
        migrations.AddField(
            model_name='slot',
            name='is_parked',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RunSQL(PARK, UNPARK),
        migrations.RemoveIndex(
            model_name='slot',
            name='open_slots_of_a_group_in_order',
        ),
        migrations.AddIndex(
            model_name='slot',
            index=models.Index(condition=models.Q(('is_filled', False), ('is_parked', False)), fields=['project', 'group', '-priority', 'number', 'id'], name='open_slots_of_a_group_in_order'),
        ),
    ]
