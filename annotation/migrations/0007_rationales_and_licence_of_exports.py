from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0006_imports_freezes_exports_withdrawals"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="snapshotexport", name="one_export_per_snapshot_and_view"),
        migrations.AddField(
            model_name="snapshotexport",
            name="has_rationales",
            field=models.BooleanField(default=False, help_text="Free text may name people: only where asked."),
        ),
        migrations.AddField(
            model_name="snapshotexport",
            name="licence",
            field=models.CharField(
                blank=True, default="", help_text="On its card: a key of the hub's list; or not said.", max_length=60
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="snapshotexport",
            name="is_private",
            field=models.BooleanField(default=True, help_text="Of a dataset that the push makes on the hub."),
        ),
        migrations.AlterField(
            model_name="snapshotexport",
            name="layout",
            field=models.CharField(help_text="A key of datasets/layouts: whose columns the rows have.", max_length=30),
        ),
        migrations.AddConstraint(
            model_name="snapshotexport",
            constraint=models.UniqueConstraint(
                fields=("snapshot", "layout", "rows", "file_type", "has_rationales", "licence", "hub_id"),
                name="one_export_per_snapshot_and_view",
            ),
        ),
    ]
