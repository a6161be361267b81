"""``make demo``: the whole loop with real parts, then the address to look at it."""

from django.core.management.base import BaseCommand

from training.demo import loop


class Command(BaseCommand):
    help = (
        "Run the demo against a running site: sample, rank, export, train, publish, sample again. "
        "A second run picks up what is there. Example: manage.py demo --url http://127.0.0.1:8000"
    )

    def add_arguments(self, parser):
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the site answers")

    def handle(self, *args, url, **options):
        url = url.rstrip("/")
        user, password = loop.sign_in()
        self.stdout.write(f"The site is at {url}  (sign in as {user}, password {password})")
        text = loop.run(url=url, say=self._say)
        self.stdout.write(f"\n{text}\n\nOpen {url} and sign in as {user}, password {password}")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
