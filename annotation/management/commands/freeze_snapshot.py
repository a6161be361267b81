"""manage.py freeze_snapshot: freeze a project's judgments."""

from argparse import RawDescriptionHelpFormatter

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from annotation.models import JudgeKind, Project
from annotation.snapshots import SnapshotRefused, available, checked_kinds, freeze_snapshot


class Command(BaseCommand):
    help = "Freeze the judgments of a project into a snapshot, which later judgments do not change."

    def add_arguments(self, parser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = "Example:\n  manage.py freeze_snapshot --project demo --name june --kinds person"
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
            with tqdm(total=total, desc="freezing", unit=" comparisons", disable=None) as bar:
                frozen = freeze_snapshot(project=found, name=name, kinds=kinds, on_progress=bar.update)
        except SnapshotRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        counts = frozen.counts
        self.stdout.write(
            f'Frozen "{frozen}": {counts["judgments"]} judgments ({", ".join(frozen.kinds)}) of '
            f"{counts['comparisons']} comparisons, {counts['pairs_train']} train and "
            f"{counts['pairs_eval']} eval pairs, hash {frozen.content_hash[:12]}."
        )


def project_by_slug(slug: str) -> Project:
    """Raises CommandError that lists the slugs that there are."""
    found = Project.objects.filter(slug=slug).first()
    if found is None:
        slugs = ", ".join(Project.objects.values_list("slug", flat=True)) or "none; make one in the browser"
        raise CommandError(f'There is no project "{slug}". Projects: {slugs}.')
    return found
