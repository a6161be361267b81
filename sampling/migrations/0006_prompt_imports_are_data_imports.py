from django.db import migrations


def keep_reports(apps, schema_editor):
    """Each earlier import of prompts as what imports are now, with the lines that it left out."""
    DataImport, LeftOutRow = apps.get_model("sampling", "DataImport"), apps.get_model("sampling", "LeftOutRow")
    for report in apps.get_model("sampling", "PromptImport").objects.iterator(chunk_size=100):
        kept = DataImport.objects.create(
            what="prompts", doing="import", state="finished", prompt_set_id=report.prompt_set_id, name=report.file_name,
            prompts_added=report.added, rejected_count=report.rejected_count, created_by_id=report.created_by_id,
        )  # fmt: skip
        DataImport.objects.filter(pk=kept.pk).update(created_at=report.created_at, finished_at=report.created_at)
        LeftOutRow.objects.bulk_create(
            (
                LeftOutRow(
                    data_import=kept, line=bad["line"], why="rejected", reason=bad["reason"], content=bad["content"]
                )
                for bad in report.rejected
            ),
            batch_size=1000,
            ignore_conflicts=True,
        )


class Migration(migrations.Migration):
    dependencies = [("sampling", "0005_imports_tokens_webhooks")]

    operations = [
        migrations.RunPython(keep_reports, migrations.RunPython.noop),
    ]
