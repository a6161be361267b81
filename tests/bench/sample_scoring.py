"""K candidates of a prompt through a reward model: the prompt shared, and a padded row for each, in one run.

    make bench-sample                        # as its last part
    python -m tests.bench.sample_scoring --prompts 2 --model DIR

Two contenders hold the same reward model each, in processes of their own, and take turns case by case: `shared` is the
product's own; `row each` puts each conversation into a row of its own, sorted by length to pad little, 8 or 32 rows
together, of which the faster counts. The reward model is the demo's policy with a head that nobody trained: reading
costs the same, and scores differ from candidate to candidate.
"""

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sampling.engine import openmp
from tests.bench.sample_contenders import peak_bytes

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = ROOT / "training" / "demo" / "prompts.jsonl"
KS = (4, 8)
CASES = {"prompt-heavy": (16, 2), "completion-heavy": (1, 6)}  # so many of the demo's: a prompt, an answer
CONTENDERS = {"shared": (32,), "row each": (8, 32)}  # micro batches
HEADING = (
    f"{'':<17}{'K':>3}{'tokens':>8}{'row each':>10}{'shared':>8}{'ratio':>7}{'apart':>8}{'GB each':>9}{'GB shared':>11}"
)

Conversations = list[list[dict[str, str]]]


def measure(model: Path, *, prompts: int = 6, repeats: int = 3) -> list[dict[str, Any]]:
    """Measure each case, and print a line of it: candidates per second (medians), and the median of their ratios."""
    print(HEADING)
    rows = []
    with tempfile.TemporaryDirectory(prefix="whetstone-bench-") as folder:
        place = Path(folder) / "reward"
        _ask([*_program("--make"), "--model", str(model), "--to", str(place)])
        for name in CASES:
            for k in KS:
                with contextlib.ExitStack() as stack:
                    asked = json.dumps(candidates(name, prompts=prompts, k=k))
                    there = {who: stack.enter_context(_contender(who, place, asked)) for who in CONTENDERS}
                    rows.append({"case": name, "k": k, "prompts": prompts} | _measured(there, repeats=repeats))
                print(_show(rows[-1]), flush=True)
    return rows


def candidates(case: str, *, prompts: int, k: int) -> Conversations:
    """Of each prompt K conversations, their answers drawn by chance from the demo's prompts, so of unlike lengths."""
    dice = random.Random(17)
    asked = [json.loads(line)["messages"][-1]["content"] for line in PROMPTS.read_text().splitlines()]
    in_prompt, in_answer = CASES[case]
    return [
        [
            {"role": "user", "content": "\n".join(asked[first : first + in_prompt])},
            {"role": "assistant", "content": " ".join(dice.sample(asked, dice.randint(1, 2 * in_answer)))},
        ]
        for first in range(0, prompts)
        for _ in range(k)
    ]


def _measured(contenders: dict[str, subprocess.Popen], *, repeats: int) -> dict[str, Any]:
    turns = {who: [] for who in contenders}
    for repeat in range(repeats):
        for who in sorted(contenders, reverse=bool(repeat % 2)):
            turns[who].append(_turn(contenders[who]))
    seconds = {who: [min(turn["seconds"]) for turn in each] for who, each in turns.items()}
    ratios = [other / own for own, other in zip(seconds["shared"], seconds["row each"], strict=True)]
    own, other = (turns[who][-1] for who in ("shared", "row each"))
    return {
        "tokens": own["tokens"],
        "candidates": len(own["scores"]),
        "candidates_per_second": {who: len(own["scores"]) / statistics.median(each) for who, each in seconds.items()},
        "ratio": {"median": statistics.median(ratios), "each": ratios},
        "apart": max(abs(a - b) for a, b in zip(own["scores"], other["scores"], strict=True)),
        "spread": statistics.pstdev(other["scores"]),
        "reader": own["reader"],
        "comparing_seconds": turns["shared"][0]["comparing_seconds"],
        "peak_gb": {who: each[-1]["peak_bytes"] / 1e9 for who, each in turns.items()},
        "seconds": {who: [turn["seconds"] for turn in each] for who, each in turns.items()},
    }


def _show(row: dict[str, Any]) -> str:
    rates, peak = row["candidates_per_second"], row["peak_gb"]
    numbers = f"{rates['row each']:>10.1f}{rates['shared']:>8.1f}{row['ratio']['median']:>7.2f}{row['apart']:>8.4f}"
    return f"{row['case']:<17}{row['k']:>3}{row['tokens']:>8}{numbers}{peak['row each']:>9.2f}{peak['shared']:>11.2f}"


@contextlib.contextmanager
def _contender(who: str, reward: Path, asked: str) -> Iterator[subprocess.Popen]:
    """A process with the reward model, which scores what it was asked once for each line that it is sent."""
    process = subprocess.Popen(
        _program("--contender", who, "--model", str(reward)),
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            process.stdin.write(asked + "\n")
            yield process
        finally:
            process.kill()


def _turn(process: subprocess.Popen) -> dict[str, Any]:
    process.stdin.write("again\n")
    process.stdin.flush()
    if not (line := process.stdout.readline()):
        sys.exit(f"A contender ended with exit code {process.wait()}.")
    return json.loads(line)


def _program(*more: str) -> list[str]:
    return [sys.executable, "-m", "tests.bench.sample_scoring", *more]


def _ask(argv: list[str]) -> None:
    subprocess.run(argv, cwd=ROOT, env=_environment(), check=True)


def _environment() -> dict[str, str]:
    return dict(os.environ) | openmp.variables(os.environ) | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}


def make_reward_model(policy: Path, to: Path) -> None:
    """Save the policy with a reward head in place of its own."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(17)
    tokenizer = AutoTokenizer.from_pretrained(policy)
    model = AutoModelForSequenceClassification.from_pretrained(policy, num_labels=1, dtype=torch.bfloat16)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(to)
    tokenizer.save_pretrained(to)


def contend(who: str, reward: Path) -> None:
    """Score the conversations of the first line for each line that follows, with each micro batch."""
    from training.pipeline.reward_reading import RowEach, Text, reader_for
    from training.pipeline.scoring import Scorer

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asked: Conversations = json.loads(sys.stdin.readline())
    scorer = Scorer(reward)
    model = scorer._loaded()
    rows = scorer.tokenizer.apply_chat_template(asked, return_dict=False)
    texts = [Text("", repr(each[:-1]), tuple(ids)) for each, ids in zip(asked, rows, strict=True)]
    began = time.perf_counter()
    scorer._reader = RowEach(model) if who == "row each" else reader_for(model, texts)
    comparing = time.perf_counter() - began
    scorer.score(asked)  # a warm-up
    for _ in sys.stdin:
        seconds = []
        for micro_batch in CONTENDERS[who]:
            scorer.micro_batch = micro_batch
            scorer._scores.clear()
            began = time.perf_counter()
            scores = scorer.score(asked)
            seconds.append(time.perf_counter() - began)
        told = {"seconds": seconds, "scores": scores, "tokens": sum(map(len, rows)), "comparing_seconds": comparing}
        told |= {"peak_bytes": peak_bytes(), "reader": type(scorer._reader).__name__}
        print(json.dumps(told), file=answers, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the policy that is made a reward model")
    parser.add_argument("--prompts", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make_reward_model(options.model, options.to)
    elif options.contender:
        contend(options.contender, options.model)
    else:
        measure(options.model, prompts=options.prompts, repeats=options.repeats)


if __name__ == "__main__":
    main()
