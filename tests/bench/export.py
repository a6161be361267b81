"""How fast a frozen snapshot becomes files, and how much memory that takes: `make bench-export`.

SIZE comparisons of two completions, each judged once, so SIZE pairs: prompts of 100 to 400 characters and completions
of 200 to 800, no two alike, made in the database by SQL, frozen as the product does. Then every layout is written as
JSON lines and as Parquet, each in a process of its own, by the very function that a worker calls: the hash is verified
on the way, and the files are on the disk when the clock stops.

    make bench-export                                   1,000,000 pairs
    make bench-export SIZE=20000 LAYOUTS="sft" TYPES="parquet"

Memory is what the process has resident (with its children, if it had any) at its highest, less what it had when it had
exported a small snapshot before: the libraries are loaded then. The database server is not in it. Prints a table and
writes var/bench/export.json; what was not measured is not called reached. Nothing of an installation is touched: the
database is a temporary one.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.place import own_database

ROOT = Path(__file__).resolve().parents[2]
SMALL = 2_000
MB = 1_000_000
FEWEST_ROWS_PER_SECOND = 20_000
MOST_GROWTH_MB = 50


@dataclass(frozen=True)
class Row:
    """One layout as files of one type. MB are 1,000,000 bytes."""

    layout: str
    file_type: str
    rows: int
    seconds: float
    rows_per_second: int
    cpu_seconds: float  # of this process; the database's server works on another core meanwhile
    mb_per_second: float
    growth_mb: float
    peak_mb: float
    file_mb: float


def measure(snapshots: tuple[int, int], layout: str, file_type: str, folder: Path) -> Row:
    """``snapshots``: a small one to begin with, and the one that is measured, by id."""
    task = {"snapshots": snapshots, "layout": layout, "file_type": file_type, "folder": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.export_once"], input=json.dumps(task), stdout=subprocess.PIPE, text=True,
        check=True, cwd=ROOT,
    )  # fmt: skip
    said = json.loads(done.stdout)
    return Row(
        layout=layout, file_type=file_type, rows=said["rows"], seconds=round(said["seconds"], 2),
        rows_per_second=round(said["rows"] / said["seconds"]), cpu_seconds=round(said["cpu_seconds"], 2),
        mb_per_second=round(said["bytes"] / MB / said["seconds"], 1), growth_mb=round(said["growth"] / MB, 1),
        peak_mb=round(said["peak"] / MB, 1), file_mb=round(said["bytes"] / MB, 1),
    )  # fmt: skip


def targets(rows: list[Row], size: int) -> dict[str, bool | None]:
    """Target -> whether it was reached; None where it was not measured."""
    full = rows if size >= MB else []
    return {
        "20,000 rows a second": all(row.rows_per_second >= FEWEST_ROWS_PER_SECOND for row in full) if full else None,
        "less than 50 MB of growth": all(row.growth_mb < MOST_GROWTH_MB for row in full) if full else None,
    }


HEADING = "layout                   type        rows   seconds  own CPU    rows/s    MB/s  growth MB  peak MB   file MB"


def show(row: Row) -> str:
    return (
        f"{row.layout:<24} {row.file_type:<7} {row.rows:>9,} {row.seconds:>8.1f} {row.cpu_seconds:>8.1f} "
        f"{row.rows_per_second:>9,} {row.mb_per_second:>7.1f} {row.growth_mb:>10.1f} {row.peak_mb:>8.1f} "
        f"{row.file_mb:>9.1f}"
    )


def run(size: int, layouts: list[str], types: list[str]) -> tuple[list[Row], dict[str, float]]:
    with own_database() as folder:
        from tests.bench import judged_pairs

        began = time.monotonic()
        small, large = (judged_pairs.make(count, name) for count, name in ((SMALL, "small"), (size, "large")))
        judged_pairs.settle_tables()
        loaded = time.monotonic()
        print(
            f"Loaded {size:,} judged pairs in {loaded - began:.0f} s ({judged_pairs.size_of_database()}).", flush=True
        )
        snapshots = (judged_pairs.freeze(small).pk, judged_pairs.freeze(large).pk)
        frozen = time.monotonic()
        print(f"Frozen in {frozen - loaded:.0f} s.\n\n{HEADING}", flush=True)
        rows = []
        for layout in layouts:
            for file_type in types:
                rows.append(measure(snapshots, layout, file_type, folder / "exports"))
                print(show(rows[-1]), flush=True)
        return rows, {"loading": round(loaded - began, 1), "freezing": round(frozen - loaded, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=MB)
    parser.add_argument("--layouts", nargs="+", default=[])
    parser.add_argument("--types", nargs="+", default=["jsonl", "parquet"])
    asked = parser.parse_args()
    load = os.getloadavg()
    layouts = asked.layouts or LAYOUTS
    rows, seconds = run(asked.size, layouts, asked.types)
    reached = targets(rows, asked.size)
    for target, is_reached in reached.items():
        print(f"{target}: {'not measured' if is_reached is None else 'reached' if is_reached else 'NOT reached'}")
    result = {
        "size": asked.size, "cores": os.cpu_count(), "load_average_before": load, "seconds": seconds,
        "exports": [asdict(row) for row in rows], "targets": reached,
    }  # fmt: skip
    path = ROOT / "var" / "bench" / "export.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"Written to {path.relative_to(ROOT)}.")


LAYOUTS = [
    "trl_preference", "trl_unpaired", "sft", "rankings", "openai_preference", "helpsteer3", "ultrafeedback_binarized",
    "arena",
]  # fmt: skip

if __name__ == "__main__":
    main()
