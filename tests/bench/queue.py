"""How fast the queue is, through HTTP with the page rendered: `make bench-queue`.

For each size of project (SIZES) and each number of annotators at once (CLIENTS), every annotator does CYCLES / CLIENTS
cycles of "next" (the page's fragment with the next comparison, leased) and "submit" (the answer, sent in the background
as the page's script does). Every annotator is a user of their own; each comparison waits for three judgments, shows two
completions, and is about 3 KB. Client, server and PostgreSQL are on one machine, the server as `manage.py serve` starts
it, the database with the product's settings.

    make bench-queue                                    all sizes: 1,000 to 1,000,000 comparisons
    make bench-queue SIZES="1000 10000" CLIENTS="1 8"

Then somebody looks for whom nothing is left in a project of that size, because they have had every comparison once
while each still waits for others: the longest walk that a claim can be made to take. The slowest of their looks is
shown too: their first ones go through everything they had, in windows.

Prints a table and writes var/bench/queue.json; what was not measured is not called reached. Afterwards it asks the
tables whether any comparison was judged more often than its overlap. Nothing of an installation is touched: the
database is a temporary one.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from tests.bench.place import own_database, web_server

ROOT = Path(__file__).resolve().parents[2]
OVERLAP = 3
NOTHING_CYCLES = 400
SIZES = [1_000, 10_000, 100_000, 1_000_000]


@dataclass(frozen=True)
class Row:
    """One size and one number of clients. Milliseconds."""

    comparisons: int
    clients: int
    cycles: int
    next_p50: float
    next_p95: float
    submit_p50: float
    submit_p95: float
    cycles_per_second: float
    over_assigned: int


@dataclass(frozen=True)
class NothingLeft:
    """What somebody waits who has had everything. Milliseconds."""

    comparisons: int
    p50: float
    p95: float
    slowest: float


def percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(len(ordered) * percent / 100))]


def measure(port: int, project, sessions: list[str], cycles: int, comparisons: int) -> Row:
    each = max(1, cycles // len(sessions))
    task = {"port": port, "slug": project.slug, "sessions": sessions, "cycles": each}
    client = subprocess.run(
        [sys.executable, "-m", "tests.bench.client"], input=json.dumps(task), stdout=subprocess.PIPE, text=True,
        check=True, cwd=ROOT,
    )  # fmt: skip
    said = json.loads(client.stdout)
    for annotator in said["annotators"]:
        if annotator["ended"]:
            sys.exit(
                f"An annotator could not go on after {len(annotator['next_seconds'])} cycles: {annotator['ended']}"
            )
    nexts = [1000 * seconds for annotator in said["annotators"] for seconds in annotator["next_seconds"]]
    submits = [1000 * seconds for annotator in said["annotators"] for seconds in annotator["submit_seconds"]]
    return Row(
        comparisons=comparisons, clients=len(sessions), cycles=len(nexts), next_p50=round(median(nexts), 2),
        next_p95=round(percentile(nexts, 95), 2), submit_p50=round(median(submits), 2),
        submit_p95=round(percentile(submits, 95), 2), cycles_per_second=round(len(nexts) / said["seconds"], 1),
        over_assigned=over_assigned(project),
    )  # fmt: skip


def measure_nothing(port: int, project, session: str, comparisons: int) -> NothingLeft:
    task = {
        "port": port, "slug": project.slug, "sessions": [session], "cycles": NOTHING_CYCLES, "is_nothing_left": True,
    }  # fmt: skip
    client = subprocess.run(
        [sys.executable, "-m", "tests.bench.client"], input=json.dumps(task), stdout=subprocess.PIPE, text=True,
        check=True, cwd=ROOT,
    )  # fmt: skip
    waits = [1000 * seconds for seconds in json.loads(client.stdout)]
    return NothingLeft(comparisons, round(median(waits), 2), round(percentile(waits, 95), 2), round(max(waits), 2))


def over_assigned(project) -> int:
    """Comparisons that were judged, or are held and judged, more often than they want."""
    from django.db.models import Count, F, Q

    live = Count("assignments", filter=Q(assignments__state__in=["held", "submitted"]))
    return project.comparisons.annotate(live=live).filter(live__gt=F("wanted")).count()


def flatness(rows: list[Row]) -> dict[int, float]:
    """Clients -> median of next in the largest project over that in the smallest; empty with one size."""
    ratios = {}
    for clients in {row.clients for row in rows}:
        here = sorted((row for row in rows if row.clients == clients), key=lambda row: row.comparisons)
        if len(here) > 1:
            ratios[clients] = round(here[-1].next_p50 / here[0].next_p50, 2)
    return ratios


def targets(rows: list[Row], nothing: list[NothingLeft]) -> dict[str, bool | None]:
    """Target -> whether it was reached; None where it was not measured."""
    one, eight = ([row for row in rows if row.clients == clients] for clients in (1, 8))
    reached = {
        "next p50 < 10 ms with 1 client": [row.next_p50 < 10 for row in one],
        "next p95 < 20 ms with 1 client": [row.next_p95 < 20 for row in one],
        "next p95 < 100 ms with 8": [row.next_p95 < 100 for row in eight],
        "60 cycles a second with 8": [row.cycles_per_second >= 60 for row in eight],
        "no over-assignment": [row.over_assigned == 0 for row in rows],
        "flat within 20 %": [ratio <= 1.2 for ratio in flatness(rows).values()],
        "p95 < 100 ms where nothing is left": [each.p95 < 100 for each in nothing],
    }
    return {target: all(each) if each else None for target, each in reached.items()}


def show(row: Row) -> str:
    return (
        f"{row.comparisons:>11,} {row.clients:>8} {row.cycles:>7,} {row.next_p50:>9.1f} {row.next_p95:>9.1f} "
        f"{row.submit_p50:>11.1f} {row.submit_p95:>11.1f} {row.cycles_per_second:>9.1f} {row.over_assigned:>8}"
    )


def show_nothing(each: NothingLeft) -> str:
    return f"{each.comparisons:>11,} {each.p50:>9.1f} {each.p95:>9.1f} {each.slowest:>9.1f}"


HEADING_OF_NOTHING = "Nothing left for this annotator:\ncomparisons       p50       p95   slowest"
HEADING = "comparisons  clients  cycles  next p50  next p95  submit p50  submit p95  cycles/s  over-assigned"


def run(sizes: list[int], clients: list[int], cycles: int) -> tuple[list[Row], list[NothingLeft]]:
    with own_database() as folder:
        from tests.bench import load

        texts = min(load.TEXTS, max(sizes))
        began = time.monotonic()
        source = load.make_texts(texts)
        projects = {
            size: load.make_project(source, f"Bench {size}", comparisons=size, texts=texts, overlap=OVERLAP)
            for size in sizes
        }
        load.settle_tables()
        print(f"Loaded {sum(sizes):,} comparisons in {time.monotonic() - began:.0f} s ({load.size_of_database()}).")
        print(f"On {load.processor()}. Milliseconds.\n\n{HEADING}", flush=True)
        rows, nothing = [], []
        with web_server(folder) as port:
            for size, project in projects.items():
                for number in clients:
                    users = load.make_annotators(project, number, f"{size}-{number}")
                    row = measure(port, project, [user.session for user in users], cycles, size)
                    rows.append(row)
                    print(show(row), flush=True)
            print(f"\n{HEADING_OF_NOTHING}")
            for size, project in projects.items():
                user = load.make_annotator_who_had_all(project, f"{size}-had-all")
                nothing.append(measure_nothing(port, project, user.session, size))
                print(show_nothing(nothing[-1]), flush=True)
        return rows, nothing


WORDS = {True: "reached", False: "NOT REACHED", None: "not measured"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 50])
    parser.add_argument("--cycles", type=int, default=800, help="in each measurement, over all clients")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "bench" / "queue.json")
    options = parser.parse_args()
    smallest = min(options.sizes) * OVERLAP
    if options.cycles * len(options.clients) > smallest:
        parser.error(f"The smallest project has {smallest:,} judgments to give: too few for that many cycles.")
    rows, nothing = run(sorted(options.sizes), options.clients, options.cycles)
    reached = targets(rows, nothing)
    print()
    for clients, ratio in sorted(flatness(rows).items()):
        print(f"next p50, largest project over smallest, {clients} clients: {ratio}")
    for target, is_reached in reached.items():
        print(f"{WORDS[is_reached]:<12} {target}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(options.out.read_text()) if options.out.exists() else {}
    kept["http"] = {
        "rows": [asdict(row) for row in rows], "nothing_left": [asdict(each) for each in nothing],
        "flatness": flatness(rows), "targets": reached,
    }  # fmt: skip
    options.out.write_text(json.dumps(kept, indent=2) + "\n")
    print(f"\nWritten to {options.out}")


if __name__ == "__main__":
    main()
