"""A program for the tests of warm processes: does what its arguments say in the run directory, and needs no time."""

import os
import signal
import sys
from pathlib import Path

from sampling.engine import run_dir as files


def run(run_dir: Path) -> dict:
    print("hello from", sys.argv[0])
    match files.read_stage(run_dir)["do"]:
        case "fail":
            raise files.RunDirError("It has 3 rows; it needs 16. Add rows.")
        case "exit":
            os._exit(7)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "wait":
            files.Progress(run_dir, unit="steps").update(phase="training")
            signal.pause()
    group = os.getpgid(0)
    return {"pid": os.getpid(), "group": group, "parent": os.getppid(), "environment": dict(os.environ)}


if __name__ == "__main__":
    files.main(run)
