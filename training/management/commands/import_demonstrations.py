"""Imports a JSON Lines file of demonstrations."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from sampling.management.progress import ShellCommand, advance, bar
from training import actions
from training.models import DemonstrationSet

SHOWN = 20


class Command(ShellCommand):
    help = "Make a set of the conversations of a JSON Lines file; every bad line is reported with its reason."
    example = "manage.py import_demonstrations tulu.jsonl --name tulu"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help='a conversation a line: "messages", or "prompt" and "completion"')
        parser.add_argument("--name", required=True, help="name of the set")

    def handle(self, *, file: Path, name: str, **options: Any) -> None:
        imported = self._import(file, name)
        for bad in imported.rejected[:SHOWN]:
            self.stderr.write(f"line {bad['line']}: {bad['reason']}")
        if imported.rejected_count > SHOWN:
            self.stderr.write(f"... and {imported.rejected_count - SHOWN} more; the set's page lists them.")
        was_there = "" if imported.name == name.strip() else f' (imported before, as "{imported.name}")'
        self.stdout.write(
            f'{imported.rows} conversations in "{imported.name}"{was_there}, {imported.rejected_count} lines left out.'
        )

    def _import(self, file: Path, name: str) -> DemonstrationSet:
        try:
            with file.open("rb") as stream, bar(total=file.stat().st_size, unit="B", scale=True) as progress:
                return actions.import_demonstrations(
                    name=name,
                    file=stream,
                    file_name=file.name,
                    on_progress=lambda done: advance(progress, done),
                )
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
