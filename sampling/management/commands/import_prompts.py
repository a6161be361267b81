"""Imports prompts, from the shell."""

from sampling.management.importing import ImportCommand


class Command(ImportCommand):
    help = (
        "Add the prompts of files to a prompt set, here and now. What cannot be used is reported with line and reason; "
        "the same file twice adds nothing; Ctrl-C keeps what is in, and --resume goes on."
    )
    example = "manage.py import_prompts prompts.jsonl --set everyday --eval-percent 20"
    what = "prompts"
