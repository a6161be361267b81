"""Where the wall time of a whole round goes: `make bench-round`.

A round of the demo's recipe on the demo's model, by the code that a worker runs: real completions of a few prompts,
ranked by the simulated annotators and frozen, then check, reward model, judge model, rejection sampling, SFT, DPO,
evaluation, harness and gate. Prints what each stage spent on pure work and on what surrounds it, and the ratio of the
wall time to the sum of the pure work; writes var/bench/round.json.

    make bench-round                       # 24 prompts: about five minutes on two quiet cores
    make bench-round PROMPTS=200           # the demo's own size

What surrounds the work hardly grows with it, so the table also says from how much work on the ratio is at most 1.1.
Nothing of an installation is touched: the database is a temporary one.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from sampling.engine import demo_model
from sampling.engine.phases import Kind
from tests.bench.place import own_database

ROOT = Path(__file__).resolve().parents[2]
VAR = Path(os.environ.get("WHETSTONE_VAR", ROOT / "var"))
TARGET = 1.1
TRAINS = ("reward_model", "judge_model", "sft", "dpo")
K = 4
COLUMNS = {
    Kind.WORK: "work",
    Kind.STARTING: "starting",
    Kind.LOADING: "loading",
    Kind.ENGINE: "engine",
    Kind.KEEPING: "keeping",
    Kind.OTHER: "other",
}


def measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Launch a round and carry it out, in this process, as the worker's task does."""
    from sampling.long_tasks import TaskState
    from training import actions
    from training.models import TrainingRound
    from training.watching import timing

    snapshot, policy = _judged(options, folder)
    launched = actions.launch_round(
        name="bench", base_policy=policy, snapshot=snapshot, recipe=options.recipe,
        changes={name: {"least_rows": 1} for name in TRAINS}, enqueue=False,
    )  # fmt: skip
    began = time.monotonic()
    round = actions.execute_round(round=launched, on_progress=_said())
    seconds = time.monotonic() - began
    if options.keep:
        shutil.copytree(round.run_dir, options.keep, dirs_exist_ok=True)
    if round.state != TaskState.FINISHED:
        sys.exit(f"The round did not finish: {round.failure}")
    times = timing.of_round(TrainingRound.objects.get(pk=round.pk), round.stages.order_by("position"))
    return {"seconds_of_the_call": hundredths(seconds)} | as_json(times)


def as_json(times: Any) -> dict[str, Any]:
    """A round's times as figures; ``holds_from`` is the work, in seconds, from which on the ratio is at most 1.1."""
    overhead = times.wall - times.work
    return {
        "stages": [
            {
                "stage": row.label,
                "wall": hundredths(row.seconds),
                **{name: hundredths(row.of(kind)) for kind, name in COLUMNS.items()},
                "phases": {piece.phase: hundredths(piece.seconds) for piece in row.by_phase()},
                "speed": row.speed,
            }
            for row in times.rows
        ],
        "wall": hundredths(times.wall),
        "work": hundredths(times.work),
        "overhead": hundredths(overhead),
        "ratio": round(times.ratio or 0.0, 3),
        "holds_from": hundredths(overhead / (TARGET - 1)),
    }


def _said() -> Any:
    """A line for each stage as it begins: the round takes minutes."""
    seen: set[str] = set()

    def said(stage: Any, progress: dict[str, Any]) -> None:
        if stage.kind not in seen:
            seen.add(stage.kind)
            print(f"... {stage.get_kind_display()}", flush=True)

    return said


def _judged(options: argparse.Namespace, folder: Path) -> tuple[Any, Any]:
    """A snapshot of real completions that the simulated annotators have ranked, and the policy that wrote them."""
    from annotation import actions as annotating
    from annotation.datasets import snapshots
    from annotation.models import JudgeKind
    from annotation.simulated import annotators
    from sampling import actions as sampling
    from sampling.importing import actions as importing
    from tests.annotation.judged import judge
    from training.demo.loop import MAX_TOKENS, PROMPTS

    prompts = folder / "bench-prompts.jsonl"
    lines = PROMPTS.read_text(encoding="utf-8").splitlines(keepends=True)
    every = max(1, len(lines) // options.prompts)  # the held-out ones stand together, at the beginning
    prompts.write_text("".join(lines[::every][: options.prompts]), encoding="utf-8")
    policy = sampling.register_model(name=options.model.name, location=str(options.model))
    prompt_set = importing.import_now(what="prompts", prompt_set_name="bench", location=str(prompts)).prompt_set
    run = sampling.create_sampling_run(
        name="bench", prompt_set=prompt_set, policies=[policy], n=K, temperature=1.0, top_p=1.0,
        max_tokens=MAX_TOKENS, enqueue=False,
    )  # fmt: skip
    run = sampling.execute_sampling_run(run=run)
    if run.failure:
        sys.exit(f"The sampling failed: {run.failure}")
    project = annotating.create_project(name="bench", overlap=1, created_by=None)
    annotating.open_comparisons(project=project, completions=run.completions.all(), k=K)
    for comparison in project.comparisons.all():
        completions = list(comparison.completions.order_by("index", "pk"))
        texts = [each.text for each in completions]
        found = annotators.rank("sim-brief", comparison.prompt.messages, texts, seed=options.seed)
        judge(comparison, "sim-brief", found.groups, found.strengths, kind=JudgeKind.SIMULATED)
    return snapshots.freeze_snapshot(project=project, name="bench", kinds=[JudgeKind.SIMULATED]), policy


def hundredths(value: float) -> float:
    return round(value, 2)


def show(result: dict[str, Any]) -> str:
    names = ["wall", *COLUMNS.values()]
    lines = [f"{'seconds':<24}" + "".join(f"{name:>10}" for name in names)]
    lines += [f"{row['stage']:<24}" + "".join(f"{row[name]:>10.1f}" for name in names) for row in result["stages"]]
    sums = {name: sum(row[name] for row in result["stages"]) for name in names}
    lines.append(f"{'all':<24}" + "".join(f"{sums[name]:>10.1f}" for name in names))
    lines.append(
        f"\nWall time to pure work: {result['ratio']:.2f} ({result['wall']:.0f} s to {result['work']:.0f} s). "
        f"With {result['overhead']:.0f} s around it, {TARGET} holds from {result['holds_from'] / 60:.0f} min of it on."
    )
    return "\n".join(lines)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=24, help="of the demo's, every one with four completions")
    parser.add_argument("--recipe", default="demo", help="a preset's name, or a path")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--model", type=Path, default=VAR / "models" / "smollm2-135m-instruct")
    parser.add_argument("--keep", type=Path, help="copy the round's run directories here")
    parser.add_argument("--out", type=Path, default=VAR / "bench" / "round.json")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    demo_model.unpack(options.model)
    with own_database() as folder:
        result = measured(options, folder)
    result = {"prompts": options.prompts, "machine": f"{os.cpu_count()} x {platform.machine()}"} | result
    print(f"\n{show(result)}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"\nWritten to {options.out}.")


if __name__ == "__main__":
    main()
