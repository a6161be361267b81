"""How many rows a second each filter takes, and how much memory it keeps a row.

    make bench-curation                                   # two minutes on a quiet core
    python -m tests.bench.curation --rows 1000000 --only duplicates near_duplicates

Seconds are those of the processor, so that neighbours on the machine count less. Rows are made up: 40 to 80 words of a
vocabulary of 20,000, one row in ten nearly a copy of an earlier one. Each filter runs in a process of its own, so that
its memory is its own: what it holds at the end, less what making the rows holds.
Writes var/bench/curation.json.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sampling.curation.filters import FILTERS
from sampling.curation.filters.base import Numbered
from sampling.curation.steps import in_batches, pipeline
from sampling.intake.records import FoundCompletion, Record

VAR = Path(os.environ.get("WHETSTONE_VAR", Path(__file__).resolve().parents[2] / "var"))
TOLD: dict[str, dict[str, Any]] = {
    "tokens": {"least": 10, "most": 60},
    "turns": {"most": 1},
    "languages": {"languages": ["en"]},
    "categories": {"key": "topic", "values": ["law", "art"]},
    "per_subset": {"key": "topic", "most": 1000},
}
TOKENIZER = "demo"  # stands for the demo model's: --tokenizer names its directory
TOPICS = ("law", "art", "code", "chat")


def rows(count: int, seed: int = 17) -> Iterator[Numbered]:
    chosen = random.Random(seed)
    letters = "abcdefghijklmnoprstuvwy"
    words = ["".join(chosen.choices(letters, k=chosen.randint(2, 9))) for _ in range(20_000)]
    kept: list[list[str]] = []
    for line in range(1, count + 1):
        if kept and line % 10 == 0:
            text = list(chosen.choice(kept))
            text[chosen.randrange(len(text))] = chosen.choice(words)
        else:
            text = chosen.choices(words, k=chosen.randint(40, 80))
            if len(kept) < 1000:
                kept.append(text)
        system = ({"role": "system", "content": "Be brief."},) if line % 2 else ()
        yield (
            line,
            Record(
                messages=(*system, {"role": "user", "content": " ".join(text)}),
                completions=(FoundCompletion(" ".join(text[:20])), FoundCompletion(" ".join(text[20:40]))),
                metadata={"topic": chosen.choice(TOPICS)},
            ),
        )


def measure(step: dict[str, Any], count: int, tokenizer: str) -> dict[str, Any]:
    """Of every pass; making the rows is not counted, nor what is loaded once."""
    filters = pipeline([step], directory_of=lambda name: tokenizer)
    warm_up(step, tokenizer)
    before, seconds, left = resident_bytes(), 0.0, 0
    for number in range(filters.plan_passes + 1):
        is_planning = number < filters.plan_passes
        for batch in in_batches(rows(count)):
            began = time.process_time()
            outcomes = filters.plan(batch) if is_planning else filters.feed(batch)
            seconds += time.process_time() - began
            left += sum(outcome.record is not None for outcome in outcomes or ())
        if is_planning:
            filters.end_pass()
    held = max(0, resident_bytes() - before)
    return {
        "filter": step["filter"],
        "settings": {name: value for name, value in step.items() if name != "filter"},
        "rows": count,
        "left": left,
        "passes": filters.plan_passes + 1,
        "rows_per_second": round(count / seconds),
        "bytes_per_row": round(held / count),
    }


def warm_up(step: dict[str, Any], tokenizer: str) -> None:
    """Load what the filter loads at its first row, and what making the rows holds."""
    some = list(rows(2000))
    list(pipeline([step], directory_of=lambda name: tokenizer).sift(lambda: iter(some)))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def in_a_process_of_its_own(step: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    argv = [sys.executable, "-m", "tests.bench.curation", "--rows", str(options.rows), "--one", json.dumps(step)]
    argv += ["--tokenizer", options.tokenizer] if options.tokenizer else []
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def steps(options: argparse.Namespace) -> list[dict[str, Any]]:
    all_steps = [{"filter": key} | TOLD.get(key, {}) for key in FILTERS]
    all_steps.append({"filter": "near_duplicates", "pieces": "words", "length": 3})
    if options.tokenizer:
        all_steps.append({"filter": "tokens", "most": 100, "tokenizer": TOKENIZER})
    return [step for step in all_steps if not options.only or step["filter"] in options.only]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--only", nargs="*", choices=list(FILTERS))
    parser.add_argument("--tokenizer", default="", help="directory with a tokenizer.json, to count its tokens too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(json.loads(options.one), options.rows, options.tokenizer)))
        return
    print(f"{'filter':<44} {'rows':>9} {'left':>9} {'rows/s':>9} {'bytes/row':>9}")
    found = []
    for step in steps(options):
        found.append(in_a_process_of_its_own(step, options))
        print(shown(found[-1]), flush=True)
    file = VAR / "bench" / "curation.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "machine": platform.machine()}
    file.write_text(json.dumps({"machine": machine, "filters": found}, indent=1) + "\n", encoding="utf-8")


def shown(row: dict[str, Any]) -> str:
    told = ", ".join(f"{name} {value}" for name, value in row["settings"].items())
    name = f"{row['filter']} {told}"[:44]
    return f"{name:<44} {row['rows']:>9,} {row['left']:>9,} {row['rows_per_second']:>9,} {row['bytes_per_row']:>9,}"


if __name__ == "__main__":
    main()
