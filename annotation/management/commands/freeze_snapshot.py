"""manage.py freeze_snapshot: freeze a project's judgments."""

from django.core.management.base import CommandError

from annotation.datasets.snapshots import SnapshotRefused, available, checked_kinds, freeze_snapshot
from annotation.management.lookup import project_by_slug
from annotation.models import JudgeKind
from sampling.management.progress import ShellCommand, bar


class Command(ShellCommand):
    help = "Freeze the judgments of a project into a snapshot, which later judgments do not change."
    example = "manage.py freeze_snapshot --project demo --name june --kinds person"

    def add_arguments(self, parser) -> None:
        parser.add_argument("--project", required=True, help="The project's slug.")
        parser.add_argument("--name", required=True, help="The snapshot's name, new in this project.")
        parser.add_argument(
            "--kinds", required=True, nargs="+", choices=JudgeKind.values,
            help="Whose judgments. Kinds are mixed only if you name more than one.",
        )  # fmt: skip

    def handle(self, *, project: str, name: str, kinds: list[str], **options) -> None:
        found = project_by_slug(project)
        try:
            kinds = checked_kinds(kinds)
            total = available(found, kinds).comparisons
            with bar(total=total, unit=" comparisons", phase="freezing") as progress:
                frozen = freeze_snapshot(project=found, name=name, kinds=kinds, on_progress=progress.update)
        except SnapshotRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        counts = frozen.counts
        self.stdout.write(
            f'Frozen "{frozen}": {counts["judgments"]} judgments ({", ".join(frozen.kinds)}) of '
            f"{counts['comparisons']} comparisons, {counts['pairs_train']} train and "
            f"{counts['pairs_eval']} eval pairs, hash {frozen.content_hash[:12]}."
        )
