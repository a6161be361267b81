"""Imports prompts with what was answered to them, from the shell."""

from sampling.management.importing import ImportCommand


class Command(ImportCommand):
    help = (
        "Add prompts and their completions, made elsewhere, to a prompt set, here and now. Open comparisons of them "
        "with manage.py open_comparisons --import ID."
    )
    example = "manage.py import_completions answers.jsonl --set everyday"
    what = "completions"
