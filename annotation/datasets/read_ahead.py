"""Reads a stream in a thread of its own, a little ahead of whoever works on it.

The database answers while rows become bytes, so that two cores have work. Only a few batches are held at a time.
"""

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from queue import Empty, Full, Queue
from typing import TypeVar

from django.db import connection

Item = TypeVar("Item")
BATCH = 250
BATCHES_AHEAD = 2
LOOK_EVERY_SECONDS = 0.2  # whether the other side is still there


def read_ahead(stream_of: Callable[[], Iterator[Item]]) -> Iterator[Item]:
    """What ``stream_of()`` gives, in its order; what it raises is raised here.

    The thread has a connection of its own, which sees nothing of a transaction that is not committed: inside one the
    stream is read here.
    """
    if connection.in_atomic_block:
        yield from stream_of()
        return
    reader = _Reader(stream_of)
    reader.start()
    try:
        while (batch := reader.next_batch()) is not None:
            yield from batch
    finally:
        reader.unwanted.set()
        reader.join()


class _Reader(threading.Thread):
    def __init__(self, stream_of: Callable[[], Iterator[Item]]) -> None:
        super().__init__(name="reads ahead for an export", daemon=True)
        self._stream_of, self._problem = stream_of, None
        self._batches: Queue[list[Item] | None] = Queue(BATCHES_AHEAD)
        self.unwanted = threading.Event()

    def run(self) -> None:
        try:
            stream = self._stream_of()
            while batch := list(islice(stream, BATCH)):
                if not self._put(batch):
                    return
        except BaseException as problem:  # whatever it is, it is raised where somebody can deal with it
            self._problem = problem
        finally:
            connection.close()  # this thread's own: nobody else would
        self._put(None)

    def next_batch(self) -> list[Item] | None:
        while True:
            try:
                batch = self._batches.get(timeout=LOOK_EVERY_SECONDS)
            except Empty:
                if not self.is_alive() and self._batches.empty():
                    raise RuntimeError("What reads ahead ended without a word.") from self._problem
                continue
            if batch is None and self._problem is not None:
                raise self._problem
            return batch

    def _put(self, batch: list[Item] | None) -> bool:
        while not self.unwanted.is_set():
            try:
                self._batches.put(batch, timeout=LOOK_EVERY_SECONDS)
            except Full:
                continue
            return True
        return False
