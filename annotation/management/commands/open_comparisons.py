"""manage.py open_comparisons: make comparisons of a sampling run's completions, from the shell."""

from argparse import RawDescriptionHelpFormatter

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from annotation import actions
from annotation.models import Project
from sampling.models import SamplingRun, Split


class Command(BaseCommand):
    help = "Open comparisons of a sampling run's completions in a project. Opens nothing twice."

    def add_arguments(self, parser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = "Example:\n  manage.py open_comparisons --project demo --run 1 --k 4 --split train"
        parser.add_argument("--project", required=True, help="The project's slug.")
        parser.add_argument("--run", required=True, type=int, help="The sampling run's number.")
        parser.add_argument("--k", type=int, default=4, help="Completions per comparison (default: 4).")
        parser.add_argument("--split", choices=Split.values, help="Only this split of the prompts.")
        parser.add_argument("--priority", type=int, default=0, help="Higher comes first (default: 0).")

    def handle(self, *, project: str, run: int, k: int, split: str | None, priority: int, **options) -> None:
        found = _project(project)
        completions = _run(run).completions.all()
        if split:
            completions = completions.filter(prompt__split=split)
        with tqdm(total=completions.count(), desc="opening", unit=" completions", disable=None) as bar:
            try:
                result = actions.open_comparisons(
                    project=found,
                    completions=completions,
                    k=k,
                    priority=priority,
                    on_progress=lambda read: bar.update(read - bar.n),
                )
            except ValueError as error:
                raise CommandError(str(error)) from error
        self.stdout.write(f'Project "{found}": {result}.')


def _project(slug: str) -> Project:
    if found := Project.objects.filter(slug=slug).first():
        return found
    slugs = ", ".join(Project.objects.values_list("slug", flat=True)) or "none; make one in the browser"
    raise CommandError(f'There is no project "{slug}". Projects: {slugs}.')


def _run(number: int) -> SamplingRun:
    if found := SamplingRun.objects.filter(pk=number).first():
        return found
    newest = ", ".join(map(str, SamplingRun.objects.values_list("pk", flat=True)[:10]))
    raise CommandError(f"There is no sampling run {number}. The newest: {newest or 'none; start one first'}.")
