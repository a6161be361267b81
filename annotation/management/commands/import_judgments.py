"""Imports judgments made elsewhere, from the shell."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from annotation.importing.forms import JudgmentsForm
from annotation.management.lookup import project_by_slug
from sampling.management.importing import ImportCommand


class Command(ImportCommand):
    help = (
        "Add prompts, completions and the judgments of them, made elsewhere, to a project, here and now. They are "
        "marked as imported; who judged is kept as a pseudonym."
    )
    example = "manage.py import_judgments preferences.jsonl --set everyday --project demo"
    what = "judgments"

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--project", default="", help="the slug of the project that they go into")
        parser.add_argument("--new-project", default="", metavar="NAME", help="make one that fits them instead")
        parser.add_argument(
            "--unnamed-differ", action="store_true", help="each judgment that names nobody is another person's"
        )

    def store_options(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["project"]:
            project_by_slug(options["project"])
        form = JudgmentsForm(
            {
                "project": options["project"],
                "new_project": options["new_project"],
                "unnamed_are_one": not options["unnamed_differ"],
            }
        )
        if not form.is_valid():
            raise CommandError(" ".join(message for said in form.errors.values() for message in said))
        return form.cleaned_data
