"""Real preferences through a reward model: how often it is right on held-out prompts, beside looking at length alone.

    make bench-reward-model                  # about ten minutes on two quiet cores
    python -m tests.bench.reward_model --train 8 --held-out 8

For each set the pairs are split by prompt (by debate where that is what is argued about), a reward model is trained
from the demo's SmolLM2-135M by the product's own program, and measured on pairs of prompts that it never saw. Writes
var/bench/reward_model.json.
"""

import argparse
import dataclasses
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sampling.engine import demo_model, openmp
from sampling.engine.run_dir import read_error, read_result, write_json, write_stage
from tests.bench.preference_sets import SETS, Row, SetAbsent, some, split
from training.recipe import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
VAR = Path(os.environ.get("WHETSTONE_VAR", ROOT / "var"))
HEADING = f"{'set':<18} {'trained':>8} {'held out':>14}   {'reward model':<23} {'longer wins':<23} {'minutes':>7}"


def run_set(name: str, options: argparse.Namespace, *, policy: Path, place: Path) -> dict[str, Any]:
    """Train and measure on one set; raises SystemExit with the program's own words when it fails."""
    found = SETS[name](options.data)
    train, held_out = split(found.rows, held_out_share=options.held_out_share, seed=options.seed)
    run_dir = place / name
    shutil.rmtree(run_dir, ignore_errors=True)  # our own: what an earlier bench trained is not this one's
    run_dir.mkdir(parents=True)
    inputs = {
        "policy": str(policy),
        "pairs_train": str(write_rows(run_dir / "train.jsonl", some(train, options.train, seed=options.seed))),
        "pairs_eval": str(write_rows(run_dir / "eval.jsonl", some(held_out, options.held_out, seed=options.seed))),
        "rivals": [],
    }
    write_stage(run_dir, {"recipe": recipe(options), "seed": options.seed, "inputs": inputs})
    began = time.monotonic()
    result = train_and_measure(run_dir)
    whole = {"rows": len(found.rows), "ties": found.ties, "train": len(train), "held_out": len(held_out)}
    return {"set": name, "whole_set": whole, "minutes": round((time.monotonic() - began) / 60, 2)} | result


def recipe(options: argparse.Namespace) -> dict[str, Any]:
    told = {
        "method": "full",
        "learning_rate": options.learning_rate,
        "epochs": options.epochs,
        "batch": options.batch,
        "micro_batch": min(4, options.batch),
        "max_length": options.max_length,
        "least_rows": 1,
        "max_pairs_per_prompt": 10_000,  # the number of pairs is chosen already
        "train_embeddings": False,  # as the demo: a fifth of the weights, and the costliest gradient on a CPU
        "margins": options.margins,
        "probes": 0,
    }
    SECTIONS["reward_model"].parse(told, source="the command line")
    return told


def train_and_measure(run_dir: Path) -> dict[str, Any]:
    """The product's own program, as a worker starts it where there is one device."""
    environment = dict(os.environ) | openmp.variables(os.environ) | {"HF_HUB_OFFLINE": "1"}
    argv = [sys.executable, "-m", "training.pipeline.reward_model", "--run-dir", str(run_dir)]
    with (run_dir / "output.log").open("wb") as log:
        ended = subprocess.run(argv, cwd=ROOT, env=environment, stdout=log, stderr=log, check=False)
    result = read_result(run_dir)
    if ended.returncode or result is None:
        said = (read_error(run_dir) or {}).get("message", f"exit code {ended.returncode}")
        sys.exit(f"The reward model's program failed: {said}\nSee {run_dir / 'output.log'}.")
    return result


def as_json(result: Any) -> dict[str, Any]:
    """A result as it is read back from `result.json`."""
    return json.loads(json.dumps(dataclasses.asdict(result)))


def write_rows(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def show(row: dict[str, Any]) -> str:
    held_out = f"{row['pairs_eval']} of {row['prompts_eval']}"
    ours = interval(row["accuracy"], row["accuracy_low"], row["accuracy_high"])
    longer = interval(*(row["length_baseline"] or {}).values())
    return f"{row['set']:<18} {row['pairs_train']:>8} {held_out:>14}   {ours:<23} {longer:<23} {row['minutes']:>7.1f}"


def interval(value: float | None = None, low: float | None = None, high: float | None = None) -> str:
    return "-" if value is None else f"{value:6.1%} [{low:.1%}, {high:.1%}]"


def show_details(row: dict[str, Any]) -> str:
    """The accuracy at each strength, and what was left out of the pairs that were drawn."""
    levels = [
        f"{each['strength'].replace('_', ' ')} {each['accuracy']:.1%} of {each['pairs']}" for each in row["by_strength"]
    ]
    left_out = [
        f"{count} {reason.replace('_', ' ')} ({where})"
        for where, dropped in (("train", row["dropped"]), ("held out", row["dropped_eval"]))
        for reason, count in dropped.items()
    ]
    return f"  by strength: {', '.join(levels)}\n  left out: {', '.join(left_out) or 'none'}"


def processor() -> str:
    for line in open("/proc/cpuinfo"):  # noqa: SIM115
        if line.startswith("model name"):
            return f"{os.cpu_count()} x {line.split(':', 1)[1].strip()}"
    return f"{os.cpu_count()} x {platform.machine()}"


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="the folder of the real sets"
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--train", type=int, default=256, help="pairs to train on, of each set")
    parser.add_argument("--held-out", type=int, default=320, help="pairs to measure on, of each set")
    parser.add_argument("--held-out-share", type=float, default=0.3, help="of each set's pairs, by whole prompts")
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--batch", type=int, default=8, help="pairs a step")
    parser.add_argument("--max-length", type=int, default=384, help="tokens of a prompt and its completion")
    parser.add_argument("--margins", choices=["none", "small", "large"], default="small")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--model", type=Path, default=VAR / "models" / "smollm2-135m-instruct")
    parser.add_argument("--out", type=Path, default=VAR / "bench" / "reward_model.json")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    demo_model.unpack(options.model)
    print(f"From {options.model.name}, on {processor()}. Accuracy on held-out prompts, 95 % intervals.\n\n{HEADING}")
    rows = []
    for name in options.sets:
        try:
            rows.append(run_set(name, options, policy=options.model, place=options.out.parent / "reward_model"))
        except SetAbsent as absent:
            sys.exit(f"{absent}. Name their folder with --data.")
        print(f"{show(rows[-1])}\n{show_details(rows[-1])}", flush=True)
    told = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, {"processor": processor(), "options": told, "sets": rows})
    print(f"\nWritten to {options.out}")


if __name__ == "__main__":
    main()
