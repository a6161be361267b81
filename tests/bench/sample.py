"""Our sampling beside raw vLLM's, in one run: `make bench-sample`.

    make bench-sample                        # about ten minutes on two quiet cores
    make bench-sample PROMPTS=4 REPEATS=3    # to see that it works

Three contenders hold an engine each, in processes of their own, and take turns, case by case, so that whatever else
the machine does falls on all of them:

- `raw`: `vllm.LLM.generate` with vLLM's own settings, as its users run it: n = K in one request of token ids;
- `raw, our settings`: the same call on an engine with our settings, so that only our driver differs;
- `ours`: the product's program, from the prompts' file to the result's: chat template, a request and a seed for each
  completion, each written as it ends.

All have the prefix cache, emptied before each turn, as much memory for it, and Intel's OpenMP. But for the last case no
completion may end by itself, so all write the same number of tokens. Prints tokens per second and ratios (the median
over the repeats of what two turns that follow each other came to); writes var/bench/sample.json.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sampling.engine import demo_model, openmp
from sampling.engine.local import CPU_CACHE_GIB
from sampling.engine.run_dir import write_json
from tests.bench import sample_contenders, sample_scoring
from tests.bench.reward_model import processor
from tests.bench.sample_contenders import CONTENDERS, OURS, RAW, RAW_OUR_SETTINGS, Case

ROOT = Path(__file__).resolve().parents[2]
VAR = Path(os.environ.get("WHETSTONE_VAR", ROOT / "var"))
PROMPTS = ROOT / "training" / "demo" / "prompts.jsonl"
TARGET = 0.95  # of raw vLLM's tokens per second
KS = (2, 4, 8)
QUESTIONS_TOGETHER = 16  # of the demo's prompts as one message: about 400 tokens


@dataclass(frozen=True)
class Turn:
    """What a contender did with a case, once."""

    tokens: int
    seconds: float

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return self.tokens / self.seconds


@dataclass(frozen=True)
class Row:
    """A case, and its turns by contender, in the order of the repeats."""

    case: Case
    turns: dict[str, list[Turn]]

    def rate(self, contender: str) -> float:
        """The median of its tokens per second."""
        return statistics.median(turn.rate for turn in self.turns[contender])

    def ratios(self, contender: str) -> list[float]:
        """Ours over this contender's, repeat by repeat."""
        pairs = zip(self.turns[OURS], self.turns[contender], strict=True)
        return [ours.rate / other.rate for ours, other in pairs]

    def ratio(self, contender: str) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios(contender))


class Contender:
    """A process that holds an engine and waits for its turns."""

    def __init__(self, name: str, model: Path, log: Path) -> None:
        environment = dict(os.environ) | openmp.variables(os.environ)
        environment |= {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        environment["VLLM_CPU_KVCACHE_SPACE"] = CPU_CACHE_GIB  # vLLM's own choice is nine tenths of the machine
        argv = [sys.executable, "-m", sample_contenders.__name__, "--name", name, "--model", str(model)]
        self.name, self.log = name, log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                argv, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file
            )
        self.start_seconds = self._answer()["start_seconds"]

    def turn(self, case: Case) -> Turn:
        """Have it do the case."""
        return Turn(**self._ask({"case": asdict(case)}))

    def end(self) -> float:
        """Let it end; returns the most memory that its processes held, in GB."""
        peak = self._ask({"end": True})["peak_bytes"] / 1e9
        self.process.wait()
        return peak

    def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(what).encode() + b"\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            log = self.log.read_text(errors="replace")[-2000:]
            sys.exit(f"The contender {self.name} ended with exit code {self.process.wait()}:\n{log}")
        return json.loads(line)


def cases(*, prompts: int) -> list[Case]:
    """Prompt-heavy and completion-heavy for each K, and the demo's own candidates, which end by themselves."""
    asked = [json.loads(line)["messages"][-1]["content"] for line in PROMPTS.read_text().splitlines()]
    together = [
        "Answer the last of these questions.\n" + "\n".join(asked[first : first + QUESTIONS_TOGETHER])
        for first in range(prompts)
    ]
    found = []
    for k in KS:
        found.append(Case("prompt-heavy", k, tuple(together), max_tokens=16))
        found.append(Case("completion-heavy", k, tuple(asked[:prompts]), max_tokens=96))
    return [*found, Case("the demo's round", 8, tuple(asked[:prompts]), max_tokens=80, temperature=0.8, endless=False)]


def sampling_rows(asked: Sequence[Case], contenders: Sequence[Contender], *, repeats: int) -> Iterator[Row]:
    """Each case by each contender, in turns; who begins changes with every repeat."""
    for case in asked:
        turns: dict[str, list[Turn]] = {contender.name: [] for contender in contenders}
        for repeat in range(repeats):
            first = repeat % len(contenders)
            for contender in [*contenders[first:], *contenders[:first]]:
                turns[contender.name].append(contender.turn(case))
        yield Row(case, turns)


def scoring_rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """K candidates of a prompt through a reward model, with the prompt shared and without."""
    print("\nCandidates scored per second by a reward model: each in a row of its own, and with the prompt shared.\n")
    return sample_scoring.measure(options.model.resolve(), prompts=options.prompts, repeats=options.repeats)


def show(row: Row) -> str:
    case, few = row.case, " !" if row.ratio(RAW) < TARGET else ""
    rates = "".join(f"{row.rate(name):>12.0f}" for name in CONTENDERS)
    tokens = row.turns[OURS][0].tokens
    ratios = "".join(
        f"{row.ratio(name):>8.2f} ({min(row.ratios(name)):.2f}-{max(row.ratios(name)):.2f})"
        for name in (RAW, RAW_OUR_SETTINGS)
    )
    return f"{case.name:<17}{case.k:>3}{tokens:>8}{rates}{ratios}{few}"


def as_json(row: Row) -> dict[str, Any]:
    """All of a row, less the prompts' words."""
    case = asdict(row.case)
    ratios = {name: {"median": row.ratio(name), "each": row.ratios(name)} for name in (RAW, RAW_OUR_SETTINGS)}
    turns = {name: [asdict(turn) for turn in turns] for name, turns in row.turns.items()}
    return case | {"prompts": len(case["prompts"]), "ours_over": ratios, "turns": turns}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=12, help="prompts of a case")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", type=Path, default=VAR / "models" / "smollm2-135m-instruct")
    parser.add_argument("--out", type=Path, default=VAR / "bench" / "sample.json")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    demo_model.unpack(options.model)
    print(f"{options.model.name}, {processor()}. Tokens per second; ratios: ours over theirs, median (least-most).\n")
    with tempfile.TemporaryDirectory(prefix="whetstone-bench-") as folder, contextlib.ExitStack() as stack:
        contenders = []
        for number, name in enumerate(CONTENDERS):
            contenders.append(Contender(name, options.model.resolve(), Path(folder) / f"{number}.log"))
            stack.callback(contenders[-1].process.kill)
        print(f"{'':<17}{'K':>3}{'tokens':>8}{'raw':>12}{'raw, ours':>12}{'ours':>12}{'/ raw':>14}{'/ raw, ours':>20}")
        rows = []
        for row in sampling_rows(cases(prompts=options.prompts), contenders, repeats=options.repeats):
            rows.append(row)
            print(show(row), flush=True)
        engines = {each.name: {"start_seconds": each.start_seconds, "peak_gb": each.end()} for each in contenders}
    print()
    for name, engine in engines.items():
        print(f"{name:<20} started in {engine['start_seconds']:6.1f} s, at most {engine['peak_gb']:.2f} GB")
    reached = all(row.ratio(RAW) >= TARGET for row in rows)
    print(f"\nAt least {TARGET:.0%} of raw vLLM's tokens per second in every case: {'yes' if reached else 'no (!)'}.")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    told = {"processor": processor(), "repeats": options.repeats, "target": TARGET, "engines": engines}
    write_json(options.out, told | {"sampling": [as_json(row) for row in rows], "scoring": scoring_rows(options)})
    print(f"Written to {options.out}")


if __name__ == "__main__":
    main()
