"""Runs that one process samples in turn, with one engine for as long as it suits: the child of `EngineChild`.

An order is a line of JSON on standard input, each answered by a line on standard output when it is done:
`{"run_dir": DIR}` samples what is missing there, as `sampling.engine.generate` does, and leaves `result.json` or
`error.json`; `{"make_room": true}` makes room for a model that somebody else is about to load. It ends with its input,
and after a run that failed: what an engine was in the middle of is nobody's to clear up.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from sampling.engine import run_dir as files
from sampling.engine.generate import run
from sampling.engine.local import Engines, LocalEngine, leave

MODULE = "sampling.engine.jobs"


def main(start: Callable[..., LocalEngine] = LocalEngine.start) -> None:
    """Carry out orders until there are none."""
    files.end_when_told()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # vLLM logs to the standard output, which is for answers alone
    engines = Engines(start)
    for line in sys.stdin:
        order = json.loads(line)
        done = True
        if order.get("make_room"):
            engines.make_room()
        else:
            done = _sampled(Path(order["run_dir"]), engines)
        print(json.dumps({"done": done}), file=answers, flush=True)
        if not done:
            leave(1)
    leave()


def _sampled(run_dir: Path, engines: Engines) -> bool:
    try:
        files.write_result(run_dir, run(run_dir, engines=engines))
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        files.write_error(run_dir, error)
        return False
    return True


if __name__ == "__main__":
    main()
