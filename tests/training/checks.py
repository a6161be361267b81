"""Checks of a round's data for tests: what they are asked, and how their program behaves."""

import sys
from pathlib import Path

from django.conf import settings

from tests.training import rounds
from training.launching.asked import Asked
from training.models import LaunchCheck

PROGRAM = Path(__file__).parent / "launching" / "fake_check.py"


def asked(policy, snapshot, **more) -> Asked:
    return Asked(**{"base_policy": policy, "snapshot": snapshot, "recipe": rounds.RECIPE} | more)


def program(kind: str, run_dir: Path, *, has_gpu: bool) -> list[str]:
    """Stands in for round_plan.program_of."""
    assert kind == "check"
    return [sys.executable, str(PROGRAM), "--run-dir", str(run_dir)]


def order(what: str) -> None:
    """Make the next checks find "problems", "crash" or "hang"; "" for nothing of that."""
    folder = settings.VAR_DIR / "launch-checks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "behaviour.txt").write_text(what)


def only_one() -> LaunchCheck:
    return LaunchCheck.objects.get()
