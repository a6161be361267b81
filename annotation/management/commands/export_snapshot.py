"""manage.py export_snapshot: write a snapshot as files."""

from pathlib import Path

from django.core.management.base import CommandError

from annotation.datasets.exports import ExportRefused, Rows, write_export
from annotation.management.lookup import snapshot_by_name
from sampling.management.progress import ShellCommand, bar


class Command(ShellCommand):
    help = "Write a snapshot as a directory that datasets.load_dataset and TRL read as it is."
    example = "manage.py export_snapshot june --project demo --out exports/june --rows majority"

    def add_arguments(self, parser) -> None:
        parser.add_argument("name", help="The snapshot's name.")
        parser.add_argument("--project", required=True, help="The project's slug.")
        parser.add_argument("--out", required=True, type=Path, help="A new or empty directory, or an earlier export.")
        parser.add_argument(
            "--rows", choices=list(Rows), default=Rows.JUDGMENT.value,
            help="judgment: a row per judgment and pair; majority: a row per pair that most agree on.",
        )  # fmt: skip

    def handle(self, *, name: str, project: str, out: Path, rows: str, **options) -> None:
        snapshot = snapshot_by_name(project, name)
        total = snapshot.counts["comparisons"]
        try:
            with bar(total=total, unit=" comparisons", phase="exporting") as progress:
                export = write_export(snapshot=snapshot, directory=out, rows=rows, on_progress=progress.update)
        except ExportRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        except OSError as error:
            raise CommandError(f"{out} could not be written: {error}. Free some space or choose another.") from error
        counts = ", ".join(f"{count} {split} rows" for split, count in export.counts.items())
        self.stdout.write(f'Exported "{snapshot}" to {out}: {counts}, {len(export.files)} files.')
