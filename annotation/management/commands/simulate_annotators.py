"""manage.py simulate_annotators: let rules judge a project, over HTTP."""

import time

from django.core.management.base import CommandError

from annotation.management.lookup import project_by_slug
from annotation.simulated import over_http as simulated_http
from sampling.management.progress import ShellCommand, advance, bar


class Command(ShellCommand):
    help = (
        "Let the simulated annotators judge what is open in a project, through the same pages as people. "
        "Their judgments are recorded as simulated. Started again, they go on. "
        "The site must be running (make run)."
    )
    example = "manage.py simulate_annotators --project demo --url http://127.0.0.1:8000"

    def add_arguments(self, parser) -> None:
        parser.add_argument("--project", required=True, help="The project's slug.")
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="Where the site is (%(default)s).")
        parser.add_argument("--seed", type=int, default=simulated_http.SEED, help="Seed of their errors.")

    def handle(self, *, project: str, url: str, seed: int, **options) -> None:
        found = project_by_slug(project)
        started = time.monotonic()
        try:
            with bar(total=simulated_http.left_to_judge(found), unit=" judgments") as progress:
                judged = simulated_http.annotate(
                    project=found,
                    url=url,
                    seed=seed,
                    on_progress=lambda done, total: advance(progress, done, total=total),
                )
        except simulated_http.SimulatedAnnotatorFailed as failure:
            raise CommandError(str(failure)) from failure
        seconds = time.monotonic() - started
        self.stdout.write(
            f"{judged} judgments by {len(simulated_http.names())} simulated annotators in {seconds:.0f} s "
            f"({judged / seconds:.1f} a second); {simulated_http.left_to_judge(found)} are left for them."
        )
