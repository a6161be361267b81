from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("sampling", "0006_prompt_imports_are_data_imports")]

    operations = [migrations.DeleteModel(name="PromptImport")]
