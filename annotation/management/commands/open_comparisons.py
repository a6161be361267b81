"""manage.py open_comparisons: make comparisons of completions, sampled or imported, from the shell."""

from django.core.management.base import CommandError

from annotation import actions
from annotation.management.lookup import project_by_slug
from sampling.management.progress import ShellCommand, advance, bar
from sampling.models import DataImport, SamplingRun, Split


class Command(ShellCommand):
    help = "Open comparisons of a sampling run's or an import's completions in a project. Opens nothing twice."
    example = "manage.py open_comparisons --project demo --run 1 --k 4 --split train"

    def add_arguments(self, parser) -> None:
        parser.add_argument("--project", required=True, help="The project's slug.")
        of = parser.add_mutually_exclusive_group(required=True)
        of.add_argument("--run", type=int, help="The sampling run's number.")
        of.add_argument("--import", type=int, dest="data_import", metavar="ID", help="The import's number.")
        parser.add_argument("--k", type=int, help="Completions per comparison (default: as the project says).")
        parser.add_argument("--split", choices=Split.values, help="Only this split of the prompts.")
        parser.add_argument("--priority", type=int, default=0, help="Higher comes first (default: 0).")

    def handle(
        self,
        *,
        project: str,
        run: int | None,
        data_import: int | None,
        k: int | None,
        split: str | None,
        priority: int,
        **options,
    ) -> None:
        found = project_by_slug(project)
        completions = (_run(run) if run is not None else _import(data_import)).completions.all()
        if split:
            completions = completions.filter(prompt__split=split)
        with bar(total=completions.count(), unit=" completions", phase="opening") as progress:
            try:
                result = actions.open_comparisons(
                    project=found,
                    completions=completions,
                    k=found.completions_per_comparison if k is None else k,
                    priority=priority,
                    on_progress=lambda read: advance(progress, read),
                )
            except ValueError as error:
                raise CommandError(str(error)) from error
        self.stdout.write(f'Project "{found}": {result}.')


def _run(number: int) -> SamplingRun:
    if found := SamplingRun.objects.filter(pk=number).first():
        return found
    newest = ", ".join(map(str, SamplingRun.objects.values_list("pk", flat=True)[:10]))
    raise CommandError(f"There is no sampling run {number}. The newest: {newest or 'none; start one first'}.")


def _import(number: int) -> DataImport:
    brought = DataImport.objects.filter(completions_added__gt=0)
    if found := brought.filter(pk=number).first():
        return found
    newest = ", ".join(map(str, brought.values_list("pk", flat=True)[:10]))
    raise CommandError(f"No import {number} has brought completions. Those that have: {newest or 'none yet'}.")
