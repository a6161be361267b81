"""manage.py export_snapshot: write a snapshot as files."""

from argparse import RawDescriptionHelpFormatter
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from annotation.exports import ExportRefused, Rows, write_export
from annotation.management.commands.freeze_snapshot import project_by_slug
from annotation.models import DatasetSnapshot


class Command(BaseCommand):
    help = "Write a snapshot as a directory that datasets.load_dataset and TRL read as it is."

    def add_arguments(self, parser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = "Example:\n  manage.py export_snapshot june --project demo --out exports/june --rows majority"
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
            with tqdm(total=total, desc="exporting", unit=" comparisons", disable=None) as bar:
                export = write_export(snapshot=snapshot, directory=out, rows=rows, on_progress=bar.update)
        except ExportRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        except OSError as error:
            raise CommandError(f"{out} could not be written: {error}. Free some space or choose another.") from error
        counts = ", ".join(f"{count} {split} rows" for split, count in export.counts.items())
        self.stdout.write(f'Exported "{snapshot}" to {out}: {counts}, {len(export.files)} files.')


def snapshot_by_name(project: str, name: str) -> DatasetSnapshot:
    """Raises CommandError that lists the project's snapshots."""
    found = project_by_slug(project)
    snapshot = found.snapshots.filter(name=name).first()
    if snapshot is None:
        names = ", ".join(found.snapshots.values_list("name", flat=True)) or "none; freeze one first"
        raise CommandError(f'Project "{project}" has no snapshot "{name}". Snapshots: {names}.')
    return snapshot
