"""manage.py freeze_snapshot: freeze judgments into a dataset."""

from datetime import date

from django.core.management.base import CommandError

from annotation.datasets.chosen import available
from annotation.datasets.freezing import Choice, SnapshotRefused, freeze
from annotation.management.lookup import project_by_slug
from annotation.models import JudgeKind
from annotation.rules.aggregation import LEVELS, Aggregation, OneRowPer
from annotation.rules.ranking import Strength
from sampling.management.progress import ShellCommand, bar


class Command(ShellCommand):
    help = "Freeze the judgments of a project, or several, into a snapshot, which later judgments do not change."
    example = "manage.py freeze_snapshot --project demo --name june --kinds person"

    def add_arguments(self, parser) -> None:
        parser.add_argument(
            "--project", required=True, nargs="+", help="The project's slug; of several, the first keeps the snapshot."
        )
        parser.add_argument("--name", required=True, help="The snapshot's name, new in this project.")
        parser.add_argument(
            "--kinds", required=True, nargs="+", choices=JudgeKind.values,
            help="Whose judgments. Kinds are mixed only if you name more than one.",
        )  # fmt: skip
        parser.add_argument("--since", type=date.fromisoformat, help="The first day of the judgments, as 2026-06-01.")
        parser.add_argument("--until", type=date.fromisoformat, help="The last day, which is in it too.")
        parser.add_argument("--reviewed-only", action="store_true", help="Only comparisons that a reviewer decided.")
        parser.add_argument(
            "--agreement", type=float, default=0.5, metavar="SHARE",
            help="0.5 to 1: only pairs of which at least this share of the judgments agree.",
        )  # fmt: skip
        parser.add_argument(
            "--min-strength", choices=[str(level) for level in LEVELS], default=str(LEVELS[0]),
            help="Only pairs that are this much better, or more.",
        )  # fmt: skip
        parser.add_argument(
            "--one-row-per", choices=list(OneRowPer), default=OneRowPer.JUDGMENT.value,
            help="Which rows an export has unless it is asked for the others.",
        )  # fmt: skip
        parser.add_argument(
            "--aggregation", choices=list(Aggregation), default=Aggregation.MAJORITY.value,
            help="What a row per pair is made by: most votes, or votes weighed by Dawid and Skene.",
        )  # fmt: skip

    def handle(self, *, project: list[str], **options) -> None:
        projects = [project_by_slug(slug) for slug in ([project] if isinstance(project, str) else project)]
        choice = Choice(
            name=options["name"],
            project_ids=tuple(found.pk for found in projects),
            kinds=tuple(options["kinds"]),
            since=options["since"],
            until=options["until"],
            reviewed_only=options["reviewed_only"],
            agreement_threshold=options["agreement"],
            min_strength=Strength(options["min_strength"]),
            one_row_per=OneRowPer(options["one_row_per"]),
            aggregation=Aggregation(options["aggregation"]),
        )
        try:
            total = available(choice.checked()).comparisons
            with bar(total=total, unit=" comparisons", phase="freezing") as progress:
                frozen = freeze(choice=choice, project=projects[0], on_progress=progress.update)
        except SnapshotRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        counts = frozen.counts
        self.stdout.write(
            f'Frozen "{frozen}": {counts["judgments"]} judgments ({", ".join(frozen.kinds)}) of '
            f"{counts['comparisons']} comparisons, {counts['pairs_train']} train and "
            f"{counts['pairs_eval']} eval pairs, hash {frozen.content_hash[:12]}."
        )
