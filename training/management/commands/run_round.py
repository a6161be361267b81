"""Runs a training round, here and now, without a worker."""

import time
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from tqdm import tqdm

from annotation.models import DatasetSnapshot
from sampling.durations import duration
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from sampling.management.commands.register_model import model_named
from sampling.management.progress import ShellCommand, advance, bar
from training import actions
from training.models import Stage, TrainingRound
from training.watching import figures


class StageBars:
    """One bar a stage, as the stages come."""

    def __init__(self) -> None:
        self.kind: str | None = None
        self.bar: tqdm | None = None

    def show(self, stage: Stage, progress: dict[str, Any]) -> None:
        if stage.kind != self.kind:
            self.close()
            self.kind = stage.kind
            self.bar = bar(total=None, unit=progress.get("unit") or "step")
            self.bar.set_description_str(stage.get_kind_display())
        if progress.get("total"):
            phase = ": ".join(part for part in (stage.get_kind_display(), progress.get("phase")) if part)
            self.bar.unit = f" {progress.get('unit') or 'steps'}"
            advance(self.bar, int(progress.get("done") or 0), total=int(progress["total"]), phase=phase)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class Command(ShellCommand):
    help = "Train a better policy from a snapshot. Ctrl-C keeps finished stages; --resume goes on with the rest."
    example = "manage.py run_round --name r1 --base smollm2 --snapshot june --recipe demo"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="name of the round; its models are called after it")
        parser.add_argument("--base", help="name of the policy to start from")
        parser.add_argument("--snapshot", help="name of the snapshot to learn from")
        parser.add_argument("--project", help="its project, where two projects have a snapshot of that name")
        parser.add_argument("--recipe", default="demo", help="a recipe's name, or a TOML file (default: demo)")
        parser.add_argument("--seed", type=int, default=17, help="default 17")
        parser.add_argument(
            "--resume", action="store_true", help="go on with the round of that name, unless it is finished or running"
        )

    def handle(self, *, name: str, resume: bool, **options: Any) -> None:
        round = self._earlier(name) if resume else self._new(name, **options)
        started = time.monotonic()
        bars = StageBars()
        try:
            actions.execute_round(round=round, on_progress=bars.show)
        except KeyboardInterrupt:
            bars.close()
            raise CommandError(
                f"Cancelled. Finished stages are kept; manage.py run_round --name {name} --resume goes on."
            ) from None
        finally:
            bars.close()
        self._say_how_it_ended(round, time.monotonic() - started)

    def _new(
        self, name: str, *, base: str | None, snapshot: str | None, project: str | None, recipe: str, seed: int, **_
    ) -> TrainingRound:
        if not base or not snapshot:
            raise CommandError("Give --base and --snapshot for a new round, or --resume to go on with an earlier one.")
        try:
            return actions.launch_round(
                name=name,
                base_policy=model_named(base),
                snapshot=snapshot_named(snapshot, project=project),
                recipe=recipe,
                seed=seed,
                request_key=uuid.uuid4(),
                enqueue=False,  # this process does the work
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None

    def _earlier(self, name: str) -> TrainingRound:
        round = TrainingRound.objects.filter(name=name).first()
        if round is None:
            raise CommandError(f'There is no round "{name}". Leave out --resume to launch it.')
        try:
            round.reclaim()
        except StaleState:
            raise CommandError(f'Round "{name}" is {round.why_not_reclaimed()}.') from None
        return round

    def _say_how_it_ended(self, round: TrainingRound, seconds: float) -> None:
        if round.state in (TaskState.QUEUED, TaskState.RUNNING):
            raise CommandError(f'A worker has round "{round}" now. Watch it on its page.')
        if round.state != TaskState.FINISHED:
            raise CommandError(
                f'Round "{round}" {round.get_state_display()}. {round.failure} Finished stages are kept; '
                f"manage.py run_round --name {round} --resume goes on."
            )
        made = f"policy {round.policy.name}" if round.policy else "no policy"
        rate = figures.proportion(round.evaluation, "win_rate", "win_rate_low", "win_rate_high")
        gate = (round.gate_report or {}).get("reason", "")
        self.stdout.write(f'Round "{round}" finished in {duration(seconds)}: {made}, win rate {rate}. {gate}'.rstrip())


def snapshot_named(name: str, *, project: str | None) -> DatasetSnapshot:
    """The snapshot of that name; an error that lists what there is, or asks for the project."""
    found = DatasetSnapshot.objects.filter(name=name).select_related("project")
    if project:
        found = found.filter(project__slug=project) | found.filter(project__name=project)
    match list(found[:2]):
        case [snapshot]:
            return snapshot
        case []:
            there = DatasetSnapshot.objects.select_related("project")[:20]
            names = ", ".join(f"{each.name} (of {each.project})" for each in there) or "none yet; see freeze_snapshot"
            raise CommandError(
                f'There is no snapshot "{name}"{f" in {project}" if project else ""}. There are: {names}.'
            )
        case _:
            raise CommandError(f'More than one project has a snapshot "{name}". Say which with --project.')
