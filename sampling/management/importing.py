"""The commands that import something: the same arguments, the same words."""

import time
from argparse import ArgumentParser
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from tqdm import tqdm

from sampling.importing import actions, forgetting, rejects
from sampling.importing.carrying_out import EXPLAINED, look_now
from sampling.importing.options import Options
from sampling.importing.watching import Progress
from sampling.intake.formats import FORMATS
from sampling.lifecycle import StaleState
from sampling.management.progress import ShellCommand, advance, bar
from sampling.models import DataImport, Doing, FilterSet, LeftOut, SourceKind
from sampling.program_runs import DATABASE_LOST

SHOWN = 20


class ImportCommand(ShellCommand):
    """Brings files in, here and now. A subclass says ``what``; it may have more arguments for the store."""

    what = ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="*", metavar="FILE", help="a file, or a directory of a dataset")
        parser.add_argument("--set", dest="prompt_set", help="name of the prompt set, made if it is new")
        parser.add_argument("--hub", action="store_true", help="FILE is the id of a hub's dataset, such as org/name")
        parser.add_argument("--format", default="", help=f"default: by the rows' shape. One of {', '.join(FORMATS)}")
        parser.add_argument(
            "--map", action="append", default=[], metavar="OURS=THEIRS", help="which column is what: prompt=question"
        )
        parser.add_argument("--filters", metavar="NAME", help="run this saved set of filters over the rows")
        parser.add_argument(
            "--eval-percent", type=float, metavar="0..100", help="of prompts without a split, to eval (default 0)"
        )
        parser.add_argument("--eval-share", type=float, metavar="0..1", help="the same as a share")
        parser.add_argument(
            "--split-group", default="", metavar="KEY", help="prompts that share its value stay together"
        )
        parser.add_argument("--split-name", default="", help="of a dataset with several splits: the one to read")
        parser.add_argument("--subset", default="", help="of a hub's dataset with several: the one to read")
        parser.add_argument("--look", action="store_true", help="say what would come in and what not; write nothing")
        parser.add_argument("--rejects", type=Path, metavar="OUT", help="write what is left out here, as JSONL")
        parser.add_argument("--resume", type=int, metavar="ID", help="go on with an import that was stopped")

    def store_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """What the store is told; a subclass reads its own arguments."""
        return {}

    def handle(self, *, files: list[str], resume: int | None, rejects: Path | None, **options: Any) -> None:
        if resume is not None:
            imports = iter([self._earlier(resume)])
        elif not files or not options["prompt_set"]:
            raise CommandError("Give at least one FILE and --set, or --resume for an import that was stopped.")
        else:
            chosen = self._options(options)
            asked = [self._asked(file, options) | {"options": chosen} for file in files]
            if options["look"]:
                for each in asked:
                    self._look(each)
                return
            imports = (self._made(each) for each in asked)  # each when it is its turn: no worker takes it before
        if rejects:
            rejects.write_bytes(b"")
        for data_import in imports:
            self._bring_in(data_import, rejects, is_new=resume is None)

    # --- what was asked for -----------------------------------------------------------------------------------------

    def _options(self, options: dict[str, Any]) -> Options:
        return Options(
            format=options["format"],
            mapping=_mapping(options["map"]),
            split_name=options["split_name"],
            subset=options["subset"],
            eval_percent=_eval_percent(options["eval_percent"], options["eval_share"]),
            split_group=options["split_group"],
            steps=_steps(options["filters"]),
            store=self.store_options(options),
        )

    def _asked(self, file: str, options: dict[str, Any]) -> dict[str, Any]:
        asked = {"what": self.what, "prompt_set_name": options["prompt_set"]}
        if options["hub"]:
            return asked | {"source_kind": SourceKind.HUB, "location": file, "name": file}
        path = Path(file)
        try:
            is_directory = path.is_dir()
            if not is_directory:
                path.open("rb").close()
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
        kind = SourceKind.DIRECTORY if is_directory else SourceKind.FILE
        return asked | {"source_kind": kind, "location": str(path.resolve()), "name": path.name}

    def _made(self, asked: dict[str, Any]) -> DataImport:
        try:
            return actions.create_import(**asked, doing=Doing.IMPORT, enqueue=False)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None

    def _earlier(self, pk: int) -> DataImport:
        data_import = DataImport.objects.filter(pk=pk, what=self.what).first()
        if data_import is None:
            raise CommandError(f"There is no import {pk} of {self.what}.")
        return data_import

    # --- doing it ---------------------------------------------------------------------------------------------------

    def _bring_in(self, data_import: DataImport, rejects_file: Path | None, *, is_new: bool) -> None:
        pk = data_import.pk
        try:
            with _progress() as report:
                actions.go_on_now(data_import=data_import, on_progress=report)
        except StaleState:
            raise CommandError(f"Import {pk} is {data_import.why_not_reclaimed()}.") from None
        except KeyboardInterrupt:
            raise CommandError(
                f"Cancelled after {data_import.next_row:,} rows. What is brought in stays; manage.py "
                f"import_{self.what} --resume {pk} goes on with it."
            ) from None
        except actions.ImportFailed as failed:
            if is_new and not data_import.next_row and forgetting.forget(pk):  # nothing that anybody could go on with
                raise CommandError(f"{data_import.name}: {failed} Nothing of it was brought in.") from None
            raise CommandError(
                f"Import {pk} of {data_import.name} stopped after {data_import.next_row:,} rows: {failed} What is "
                f"brought in stays; manage.py import_{self.what} --resume {pk} goes on with it."
            ) from None
        except DATABASE_LOST as error:
            raise CommandError(
                f"The database was lost ({str(error).strip()}). What is brought in stays; once the database is back, "
                f"manage.py import_{self.what} --resume {pk} goes on with it."
            ) from None
        self._say(data_import)
        if rejects_file:
            with rejects_file.open("ab") as out:
                out.writelines(rejects.lines(data_import))

    def _say(self, data_import: DataImport) -> None:
        data_import.refresh_from_db()
        rejected = data_import.left_out.filter(why=LeftOut.REJECTED)
        for row in rejected[:SHOWN]:
            self.stderr.write(f"{data_import.name}, line {row.line}: {row.reason}")
        if data_import.rejected_count > SHOWN:
            more = data_import.rejected_count - SHOWN
            self.stderr.write(f"... and {more:,} more; the import's page lists them, and --rejects writes them.")
        kinds = ("prompts", "completions", "comparisons", "judgments")
        added = [(kind, getattr(data_import, f"{kind}_added")) for kind in kinds]
        said = ", ".join(f"{count:,} {kind}" for kind, count in added if count) or f"no {self.what}"
        self.stdout.write(
            f'{data_import.name}: {said} added to "{data_import.prompt_set}"; {data_import.known_count:,} known, '
            f"{data_import.filtered_count:,} removed by filters, {data_import.rejected_count:,} rejected. "
            f"Import {data_import.pk}."
        )

    def _look(self, asked: dict[str, Any]) -> None:
        data_import = DataImport(
            what=asked["what"], source_kind=asked["source_kind"], location=asked["location"], name=asked["name"],
            options=asked["options"].as_json(),
        )  # fmt: skip
        try:
            with _progress() as report:
                seen, _ = look_now(data_import, report)
        except EXPLAINED as error:
            raise CommandError(f"{data_import.name}: {error}") from None
        records = ", ".join(f"{count:,} {kind}" for kind, count in seen["records"].items())
        read_as = seen["format"] or "(unknown)"
        self.stdout.write(f"{data_import.name}: {seen['rows']:,} rows of format {read_as}: {records}")
        for step in seen["filters"]:
            self.stdout.write(f"  {step['label']}: {step['removed']:,} of {step['seen']:,} removed")
        self.stdout.write(f"  {seen['rejected']:,} rows rejected")
        for row in seen["rejected_first"]:
            self.stdout.write(f"  line {row['line']}: {row['reason']}")
        for problem in seen["problems"]:
            self.stdout.write(f"  {problem}")
        self.stdout.write("Nothing was written.")


def _mapping(pairs: list[str]) -> dict[str, str]:
    from sampling.intake.mapping import FIELDS

    mapping = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not equals or ours not in FIELDS:
            raise CommandError(f"--map {pair}: write OURS=THEIRS, where OURS is one of {', '.join(FIELDS)}.")
        mapping[ours] = theirs
    return mapping


def _eval_percent(percent: float | None, share: float | None) -> float:
    if share is not None:
        if not 0 <= share <= 1:
            raise CommandError(f"--eval-share is {share}; it must be between 0 and 1.")
        return share * 100
    return percent or 0.0


def _steps(name: str | None) -> list[dict[str, Any]]:
    if not name:
        return []
    filters = FilterSet.objects.filter(name=name).first()
    if filters is None:
        names = ", ".join(FilterSet.objects.values_list("name", flat=True)[:SHOWN]) or "none; save one in the browser"
        raise CommandError(f'There is no set of filters "{name}". There are: {names}.')
    return filters.steps


@contextmanager
def _progress():
    """A bar of KiB, or of rows where the source knows no bytes, with the rows a second beside it."""
    began = time.monotonic()
    with bar(total=None, unit="", scale=True) as shown:
        yield lambda progress: _show(shown, progress, began)


def _show(shown: tqdm, progress: Progress, began: float) -> None:
    if shown.disable:
        return
    rate = progress.rows / max(time.monotonic() - began, 0.1)
    shown.set_postfix_str(f"{progress.rows:,} rows, {rate:,.0f}/s", refresh=False)
    advance(shown, progress.done, total=progress.total or None, phase=progress.phase)
