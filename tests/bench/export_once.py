"""One export in a process of its own, with the memory that it takes: what `tests.bench.export` starts."""

import gc
import json
import sys
import threading
import time
from pathlib import Path

PAGES = Path("/proc/self/statm")
LOOK_EVERY_SECONDS = 0.02


def resident() -> int:
    """Bytes. Exports start no children; if they did, theirs would have to be added."""
    import resource

    return int(PAGES.read_text().split()[1]) * resource.getpagesize()


class Watch:
    """The highest of what is resident while the block runs."""

    def __enter__(self) -> "Watch":
        self.before = self.peak = resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._done.wait(LOOK_EVERY_SECONDS):
            self.peak = max(self.peak, resident())

    def __exit__(self, *_) -> None:
        self._done.set()
        self._thread.join()
        self.peak = max(self.peak, resident())


def main() -> None:
    import django

    django.setup()
    from annotation.datasets.exports import write_export
    from annotation.models import DatasetSnapshot

    task = json.loads(sys.stdin.read())
    small, large = (DatasetSnapshot.objects.select_related("project").get(pk=pk) for pk in task["snapshots"])
    how = {"layout": task["layout"], "file_type": task["file_type"]}
    folder = Path(task["folder"])
    write_export(snapshot=small, directory=folder / "small", **how)
    gc.collect()
    with Watch() as watch:
        began, cpu_began = time.monotonic(), time.process_time()
        export = write_export(snapshot=large, directory=folder / "large", **how)
        seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    said = {
        "rows": sum(export.counts.values()), "bytes": sum(file.bytes for file in export.written), "seconds": seconds,
        "cpu_seconds": cpu_seconds, "growth": watch.peak - watch.before, "peak": watch.peak,
    }  # fmt: skip
    print(json.dumps(said))


if __name__ == "__main__":
    main()
