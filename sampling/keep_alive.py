"""Signs of life for a claimed task while this very process is busy: writing data, hashing a checkpoint."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from sampling.long_tasks import HEARTBEAT_SECONDS, LongTask

log = logging.getLogger(__name__)


@contextmanager
def kept_alive(
    task: LongTask,
    *,
    every_seconds: float = HEARTBEAT_SECONDS,
    progress: Callable[[], dict[str, Any]] = dict,
) -> Iterator[threading.Event]:
    """Beat from a thread of its own until the block is left, and store with each beat what ``progress`` gives then.

    The event is set once the task is to stop: cancelled, or another worker's. What takes long looks at it, and leaves
    the block by whatever its caller raises. The block must hold no lock on the task's row: the heartbeat would wait.
    """
    done, unwanted = threading.Event(), threading.Event()

    def beat() -> None:
        try:
            while not done.wait(every_seconds):
                try:
                    if not task.beat(**progress()):
                        unwanted.set()
                except (DatabaseError, InterfaceError) as error:
                    log.warning("No heartbeat for %s %s: %s", task._meta.verbose_name, task.pk, error)
                    connection.close()  # the next beat opens a new one
        finally:
            connection.close()  # this thread's own: nobody else would

    thread = threading.Thread(target=beat, name=f"heartbeat of {task._meta.verbose_name} {task.pk}", daemon=True)
    thread.start()
    try:
        yield unwanted
    finally:
        done.set()
        thread.join()
