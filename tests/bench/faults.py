"""Whether the queue keeps its promises while leases run out and workers are killed: `make bench-queue-faults`.

Several processes annotate at once, at the level of actions, each for many annotators: they claim, look ahead, keep
drafts, skip, go away for longer than their lease, send answers twice, and answer. Now and then one is killed (SIGKILL)
wherever it is, and another takes its place. It goes on until every slot is filled. Then the tables are asked: no
comparison judged more often than it wanted, no slot with two answers, nobody twice at one comparison, and every answer
that was acknowledged is there, once.

    make bench-queue-faults                         100,000 judgments, in about a quarter of an hour
    make bench-queue-faults JUDGMENTS=2000
"""

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from tests.bench.place import own_database

ROOT = Path(__file__).resolve().parents[2]
OVERLAP = 3
LEASE_SECONDS = 1


@dataclass(frozen=True)
class Outcome:
    """What came of a run. All but the first five must be 0."""

    judgments: int
    expired_leases: int
    refused_answers: int
    killed_workers: int
    seconds: float
    unfilled_slots: int
    judged_too_often: int
    slots_with_two_answers: int
    judged_twice_by_one: int
    filled_without_answer: int
    acknowledged_but_lost: int

    @property
    def is_sound(self) -> bool:
        return not any(
            (
                self.unfilled_slots, self.judged_too_often, self.slots_with_two_answers, self.judged_twice_by_one,
                self.filled_without_answer, self.acknowledged_but_lost,
            )
        )  # fmt: skip


# A worker


def work(project_id: int, annotators: list[int], log: Path) -> None:
    """Annotate until nothing is open. What was acknowledged, and what was refused, is noted in ``log`` at once."""
    from django.contrib.auth.models import User

    from annotation.models import Project, Slot

    project = Project.objects.get(pk=project_id)
    users = [_Annotator(user, project) for user in User.objects.filter(pk__in=annotators)]
    notes = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    idle = 0
    while idle < 20 * len(users) or Slot.objects.open().filter(project=project).exists():
        said = random.choice(users).step()
        idle = 0 if said else idle + 1
        if said and said != "went on":
            os.write(notes, f"{said}\n".encode())
        if idle and idle % len(users) == 0:
            time.sleep(0.02)


class _Annotator:
    def __init__(self, user, project) -> None:
        self.user, self.project = user, project
        self.away_until = 0.0
        self.left = None  # what they had open when they went away

    def step(self) -> str | None:
        """Do one thing; what became of it, None when there was nothing to do."""
        from annotation import actions

        if time.monotonic() < self.away_until:
            return None
        left, self.left = self.left, None
        try:
            if left:  # back at the page as it was, whatever became of the lease
                return f"kept {self._submit(left, twice=True)}"
            held = actions.claim_next(project=self.project, annotator=self.user)
            return self._act(held, random.random()) if held else None
        except actions.LeaseLost:
            return "refused"

    def _act(self, held, draw: float) -> str:
        from annotation import actions

        if draw < 0.10:
            actions.claim_next(project=self.project, annotator=self.user, besides=held)
        elif draw < 0.15:
            actions.save_draft(assignment=held, annotator=self.user, draft={"rank_A": "1"})
        elif draw < 0.17:
            actions.skip(assignment=held, annotator=self.user, reason="I cannot judge this")
        elif draw < 0.20:
            self.left = held
            self.away_until = time.monotonic() + LEASE_SECONDS * random.uniform(1, 2)
        else:
            return f"kept {self._submit(held, twice=draw > 0.95)}"
        return "went on"

    def _submit(self, held, *, twice: bool) -> int:
        from annotation import actions

        answer, key = actions.Answer([[pk] for pk in held.display_order]), uuid.uuid4()
        for _ in range(1 + twice):
            judgment = actions.submit_judgment(assignment=held, annotator=self.user, answer=answer, request_key=key)
        return judgment.pk


# The run


def run(project, annotators: list[int], *, workers: int, kills: int, folder: Path, seconds: float = 3600) -> Outcome:
    """Have ``workers`` processes fill every slot of ``project``, killing one of them ``kills`` times on the way."""
    from annotation.models import Slot

    began = time.monotonic()
    started = [_start(project, annotators[number::workers], folder / f"{number}.log") for number in range(workers)]
    wanted = Slot.objects.filter(project=project).count()
    killed = 0
    try:
        while _still_open(project) and time.monotonic() < began + seconds:
            # Evenly over the run: after each share of the slots one is killed, whatever it is doing.
            if killed < kills and _about_kept(folder) > wanted * (killed + 1) / (kills + 2):
                number = killed % workers
                started[number].kill()
                started[number].wait()
                started[number] = _start(project, annotators[number::workers], folder / f"{number}.log")
                killed += 1
            time.sleep(0.1)
    finally:
        for process in started:
            process.kill()
            process.wait()
    return _outcome(project, folder, killed, time.monotonic() - began)


def _still_open(project) -> bool:
    from annotation.models import Slot

    return Slot.objects.open().filter(project=project).exists()


def _start(project, annotators: list[int], log: Path) -> subprocess.Popen:
    from django.conf import settings
    from django.db import connection

    database = connection.settings_dict
    where = f"{quote(str(database['HOST']), safe='')}:{database['PORT'] or 5432}"
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"postgres://{database['USER']}@{where}/{database['NAME']}",
        "WHETSTONE_VAR": str(settings.VAR_DIR),
    }
    task = json.dumps({"project_id": project.pk, "annotators": annotators, "log": str(log)})
    return subprocess.Popen([sys.executable, "-m", "tests.bench.faults", "--work", task], cwd=ROOT, env=environment)


def _about_kept(folder: Path) -> int:
    """How many answers were acknowledged, by the size of the logs: reading them again and again would cost more."""
    return sum(log.stat().st_size for log in folder.glob("*.log")) // len("kept 1234\n")


def _notes(folder: Path, word: str) -> list[str]:
    """The whole lines of the workers' logs that begin so; a kill may have torn a last one."""
    lines = [line for log in folder.glob("*.log") for line in log.read_text().splitlines(keepends=True)]
    return [line.strip() for line in lines if line.startswith(word) and line.endswith("\n")]


def _outcome(project, folder: Path, killed: int, seconds: float) -> Outcome:
    from django.db.models import Count, F, Q

    from annotation.models import Assignment, Judgment, Slot

    judgments = Judgment.objects.filter(comparison__project=project)
    slots = Slot.objects.filter(project=project)
    assignments = Assignment.objects.filter(comparison__project=project)
    submitted = Count("assignments", filter=Q(assignments__state="submitted"))
    acknowledged = [int(note.split()[1]) for note in _notes(folder, "kept")]
    there = set(judgments.values_list("pk", flat=True))
    by_one = judgments.values("comparison", "annotator").annotate(n=Count("pk"))
    return Outcome(
        judgments=len(there),
        expired_leases=assignments.filter(state="expired").count(),
        refused_answers=len(_notes(folder, "refused")),
        killed_workers=killed,
        seconds=round(seconds, 1),
        unfilled_slots=slots.open().count(),
        judged_too_often=project.comparisons.annotate(n=Count("judgments")).filter(n__gt=F("wanted")).count(),
        slots_with_two_answers=slots.annotate(n=submitted).filter(n__gt=1).count(),
        judged_twice_by_one=by_one.filter(n__gt=1).count(),
        filled_without_answer=slots.filter(is_filled=True).annotate(n=submitted).filter(n=0).count(),
        acknowledged_but_lost=len(set(acknowledged) - there) + len(acknowledged) - len(set(acknowledged)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judgments", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "bench" / "queue.json")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        _be_a_worker(json.loads(options.work))
        return
    with own_database() as folder:
        from tests.bench import load

        comparisons = -(-options.judgments // OVERLAP)
        texts = min(load.TEXTS, comparisons)
        project = load.make_project(
            load.make_texts(texts), "Faults", comparisons=comparisons, texts=texts, overlap=OVERLAP,
            lease_seconds=LEASE_SECONDS, strength_scale="none",
        )  # fmt: skip
        annotators = [user.pk for user in load.make_annotators(project, 8 * options.workers, "annotator")]
        load.settle_tables()
        (folder / "notes").mkdir()
        print(
            f"{comparisons * OVERLAP:,} judgments by {options.workers} processes, {options.kills} kills ...", flush=True
        )
        outcome = run(
            project, annotators, workers=options.workers, kills=options.kills, folder=folder / "notes",
            seconds=4 * 3600,
        )  # fmt: skip
    for name, value in asdict(outcome).items():
        print(f"{name.replace('_', ' '):>24} {value:>12,}")
    print("Sound." if outcome.is_sound else "NOT SOUND: see above.")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(options.out.read_text()) if options.out.exists() else {}
    options.out.write_text(json.dumps(kept | {"faults": asdict(outcome)}, indent=2) + "\n")
    sys.exit(0 if outcome.is_sound else 1)


def _be_a_worker(task: dict) -> None:
    import django

    django.setup()
    with contextlib.suppress(KeyboardInterrupt):
        work(task["project_id"], task["annotators"], Path(task["log"]))


if __name__ == "__main__":
    main()
