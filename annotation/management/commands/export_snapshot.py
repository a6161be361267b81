"""manage.py export_snapshot: write a snapshot as files."""

import time
from pathlib import Path

from django.core.management.base import CommandError

from annotation.datasets.export_rows import Rows
from annotation.datasets.exports import ExportRefused, write_export
from annotation.datasets.hub import PushRefused, push
from annotation.datasets.layouts import DEFAULT, LAYOUTS, FileType
from annotation.datasets.withdrawn import MARK, mark_of
from annotation.management.lookup import snapshot_by_name
from sampling.management.progress import ShellCommand, bar


class Command(ShellCommand):
    help = "Write a snapshot as a directory that datasets.load_dataset and TRL read as it is."
    example = "manage.py export_snapshot june --project demo --into exports/june --layout trl_unpaired --type parquet"

    def add_arguments(self, parser) -> None:
        parser.add_argument("name", help="The snapshot's name.")
        parser.add_argument("--project", required=True, help="The project's slug.")
        parser.add_argument(
            "--into", "--out", dest="into", required=True, type=Path,
            help="A new or empty directory, or an earlier export.",
        )  # fmt: skip
        parser.add_argument("--layout", choices=list(LAYOUTS), default=DEFAULT, help="Whose columns the rows have.")
        parser.add_argument(
            "--rows", choices=list(Rows), default=Rows.JUDGMENT.value,
            help="judgment: each judgment's own preferences; majority: one over all annotators, as it was frozen.",
        )  # fmt: skip
        parser.add_argument("--type", dest="file_type", choices=list(FileType), default=FileType.JSONL.value)
        parser.add_argument(
            "--rationales",
            action="store_true",
            help="With what annotators wrote; it may name people.",
        )
        parser.add_argument("--licence", default="", help="For the card: a key of the hub's list, as in cc-by-4.0.")
        parser.add_argument("--push-to", metavar="OWNER/NAME", default="", help="Push to a hub too, with HF_TOKEN.")
        parser.add_argument("--public", action="store_true", help="What the push makes is public, not private.")

    def handle(self, *, name: str, project: str, into: Path, **options) -> None:
        snapshot = snapshot_by_name(project, name)
        began = time.monotonic()
        try:
            with bar(total=snapshot.counts["comparisons"], unit=" comparisons", phase="exporting") as progress:
                export = write_export(
                    snapshot=snapshot, directory=into, rows=options["rows"], layout=options["layout"],
                    file_type=options["file_type"], has_rationales=options["rationales"], licence=options["licence"],
                    on_progress=progress.update,
                )  # fmt: skip
            if mark := mark_of(snapshot):
                (into / MARK).write_bytes(mark)
        except ExportRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        except OSError as error:
            raise CommandError(f"{into} could not be written: {error}. Free some space or choose another.") from error
        counts = ", ".join(f"{count} {split} rows" for split, count in export.counts.items())
        rate = sum(export.counts.values()) / max(time.monotonic() - began, 1e-3)
        self.stdout.write(
            f'Exported "{snapshot}" to {into}: {counts}, {len(export.files)} files, {rate:,.0f} rows a second.'
        )
        if options["push_to"]:
            names = [file.name for file in export.files]
            self._push(into, names, mark, options["push_to"], is_private=not options["public"])

    def _push(self, directory: Path, names: list[str], mark: bytes, hub_id: str, *, is_private: bool) -> None:
        try:
            address = push(directory=directory, names=names, mark=mark, hub_id=hub_id, is_private=is_private)
        except PushRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"Pushed to {hub_id}: {address}")
