"""Imports a JSON Lines file of prompts."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from sampling import actions
from sampling.management.progress import ShellCommand, advance, bar

SHOWN = 20


class Command(ShellCommand):
    help = "Add the prompts of a JSON Lines file to a prompt set; every bad line is reported with its reason."
    example = "manage.py import_prompts prompts.jsonl --set everyday --eval-share 0.2"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help='one object a line, with "prompt" or "messages"')
        parser.add_argument("--set", required=True, dest="prompt_set", help="name of the set, made if it is new")
        parser.add_argument(
            "--eval-share",
            type=float,
            default=0.0,
            metavar="0..1",
            help="share of the lines without a split that goes to eval (default 0)",
        )

    def handle(self, *, file: Path, prompt_set: str, eval_share: float, **options: Any) -> None:
        if not 0 <= eval_share <= 1:
            raise CommandError(f"--eval-share is {eval_share}; it must be between 0 and 1.")
        report = self._import(file, prompt_set, eval_share)
        for bad in report.rejected[:SHOWN]:
            self.stderr.write(f"line {bad['line']}: {bad['reason']}")
        if report.rejected_count > SHOWN:
            self.stderr.write(f"... and {report.rejected_count - SHOWN} more; the import's page lists them.")
        self.stdout.write(
            f'{report.added} prompts added to "{report.prompt_set}", {report.rejected_count} lines left out.'
        )

        try:
            with file.open("rb") as stream, bar(total=file.stat().st_size, unit="B", scale=True) as progress:
                return actions.import_prompts(
                    prompt_set_name=prompt_set,
                    file=stream,
                    file_name=file.name,
                    default_eval_share=eval_share,
                    on_progress=lambda done: advance(progress, done),
                )
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
