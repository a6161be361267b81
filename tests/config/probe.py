"""A task for the tests of the broker: a file shows that it was run, and by which queue's worker."""

from pathlib import Path

from celery import shared_task


@shared_task(bind=True)
def touch(self, path: str) -> None:
    Path(path).write_text(self.request.hostname)
