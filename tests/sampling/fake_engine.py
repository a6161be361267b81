"""A program that speaks the run directory's contract like sampling.engine.generate, without a model.

What it writes is decided by prompt and index, and what is there already is not written again. With --die-after it
ends by SIGKILL after so many new completions, a torn line last; with --hang it writes one and waits; with --refuse
it leaves an error.json.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from sampling.engine import run_dir as files

parser = argparse.ArgumentParser()
parser.add_argument("--run-dir", type=Path, required=True)
parser.add_argument("--die-after", type=int)
parser.add_argument("--hang", action="store_true")
parser.add_argument("--refuse")
parser.add_argument("--slow", type=float, default=0)
parser.add_argument("--skip-first", action="store_true")
parser.add_argument("--forget-last", action="store_true")
options = parser.parse_args()
run_dir = options.run_dir

if options.refuse:
    files.write_error(run_dir, files.RunDirError(options.refuse))
    sys.exit(1)

stage = files.read_stage(run_dir)
prompts = [json.loads(line) for line in (run_dir / stage["prompts"]).read_text().splitlines()]
path = run_dir / "completions.jsonl"
files.cut_torn_line(path)
there = {(row["prompt_id"], row["index"]) for row in files.read_json_lines(path)}
if options.skip_first:
    skipped = prompts.pop(0)
    (run_dir / "skipped.jsonl").write_text(json.dumps({"prompt_id": skipped["id"], "reason": "too long"}) + "\n")
wanted = [(prompt["id"], index) for prompt in prompts for index in range(stage["n"])]
if options.forget_last:
    wanted.pop()
progress = files.Progress(run_dir, unit="completions", total=len(wanted), every_seconds=0)
new = 0
with path.open("a") as file:
    for done, (prompt_id, index) in enumerate(wanted):
        if (prompt_id, index) in there:
            continue
        if options.die_after == new:
            file.write('{"prompt_id": "torn')
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(options.slow)
        row = {"prompt_id": prompt_id, "index": index, "text": f"answer {index} to {prompt_id}\0", "tokens": 3}
        file.write(json.dumps(row | {"finish_reason": "stop"}) + "\n")
        file.flush()
        new += 1
        progress.update(done + 1, phase="sampling")
        if options.hang:
            time.sleep(60)
tokens = 3 * new
files.write_result(
    run_dir,
    {
        "completions": len(wanted),
        "new_completions": new,
        "output_tokens": tokens,
        "seconds": 2.0,
        "tokens_per_second": tokens / 2.0,
        "engine_start_seconds": 0.0,
    },
)
