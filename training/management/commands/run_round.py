"""Runs a training round, here and now, without a worker."""

import dataclasses
import json
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
from sampling.models import ModelVersion
from training import actions
from training import recipe as recipes
from training.launching import check_table, checking, launch_checks, prefill
from training.launching.asked import Asked
from training.launching.changes import laid_over
from training.models import DemonstrationSet, Stage, TrainingRound
from training.watching import figures

SEED = 17


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


class CheckBar:
    """The bar of a check."""

    def __init__(self) -> None:
        self.bar = bar(total=None, unit="row", phase="check of the data")

    def show(self, progress: dict[str, Any]) -> None:
        if progress.get("total"):
            advance(self.bar, int(progress.get("done") or 0), total=int(progress["total"]))

    def close(self) -> None:
        self.bar.close()


class Command(ShellCommand):
    help = "Train a better policy from a snapshot. Ctrl-C keeps finished stages; --resume goes on with the rest."
    example = "manage.py run_round --name r1 --base smollm2 --snapshot june --recipe demo --set dpo.beta=0.2"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="name of the round; its models are called after it")
        parser.add_argument("--base", help="name of the policy to start from (default: what --previous made)")
        parser.add_argument(
            "--snapshot", help="name of the snapshot to learn from (default: the newest of the project of --previous)"
        )
        parser.add_argument("--project", help="its project, where two projects have a snapshot of that name")
        parser.add_argument(
            "--recipe", help="a recipe's name, or a TOML file (default: that of --previous with its changes, or demo)"
        )
        parser.add_argument(
            "--set", action="append", default=[], dest="changes", metavar="SECTION.KEY=VALUE",
            help="change a value of the recipe; may be given more than once",
        )  # fmt: skip
        parser.add_argument("--previous", metavar="ROUND", help="the round of the schedule that this one follows")
        parser.add_argument(
            "--demonstrations", metavar="SET",
            help="what a recipe with that stage learns from first (default: those of --previous)",
        )  # fmt: skip
        parser.add_argument("--seed", type=int, help="default: that of --previous, or 17")
        parser.add_argument("--check-only", action="store_true", help="check the data, say what would be done, and end")
        parser.add_argument(
            "--resume", action="store_true", help="go on with the round of that name, unless it is finished or running"
        )

    def handle(self, *, name: str, resume: bool, check_only: bool = False, **options: Any) -> None:
        if resume:
            round = self._earlier(name)
        else:
            if not check_only and (problem := launch_checks.name_problem(name, [])):
                raise CommandError(problem)
            asked = asked_for(**options)
            self._check(asked)
            if check_only:
                return
            round = self._new(name, asked, seed=options.get("seed"))
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

    def _check(self, asked: Asked) -> None:
        """Check the data before anything is spent, and say what was found; refuse as the form would."""
        progress = CheckBar()
        try:
            check = actions.requested_check(asked=asked, again=True, enqueue=False)
            actions.execute_check(check=check, on_progress=progress.show)
            while not check.is_over:  # a worker was quicker
                time.sleep(0.5)
                check.refresh_from_db()
                progress.show({"done": check.done, "total": check.total})
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except KeyboardInterrupt:
            raise CommandError("Cancelled. Nothing was launched.") from None
        finally:
            progress.close()
        self.stderr.write(check_table.table_of(check, asked))
        if problems := checking.problems_in(check):
            raise CommandError(" ".join(problems.values()))
        if check.state == TaskState.FAILED:
            raise CommandError(f"The data could not be checked. {check.failure}")

    def _new(self, name: str, asked: Asked, *, seed: int | None) -> TrainingRound:
        usual = asked.previous.seed if asked.previous else SEED
        try:
            return actions.launch_round(
                name=name,
                **{field.name: getattr(asked, field.name) for field in dataclasses.fields(asked)},
                seed=usual if seed is None else seed,
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


def asked_for(
    *,
    base: str | None,
    snapshot: str | None,
    project: str | None,
    recipe: str | None,
    changes: list[str],
    previous: str | None,
    demonstrations: str | None,
    **_: Any,
) -> Asked:
    """What the options name; an error that lists what there is where a name is wrong.

    What is left out is taken from ``previous``, as the form takes it that continues a round.
    """
    follows = row_named(TrainingRound, previous, "round") if previous else None
    told = prefill.continuing(follows) if follows else {}
    if not (follows or (base and snapshot)):
        raise CommandError("Give --base and --snapshot for a new round, or --resume to go on with an earlier one.")
    try:
        name, different = recipe_asked_for(recipe, changes, follows)
    except recipes.RecipeError as error:
        raise CommandError(str(error)) from None
    of_set = row_named(DemonstrationSet, demonstrations, "set of demonstrations") if demonstrations else None
    return Asked(
        base_policy=model_named(base) if base else ModelVersion.objects.get(pk=told["base_policy"]),
        snapshot=snapshot_named(snapshot, project=project)
        if snapshot
        else DatasetSnapshot.objects.get(pk=told["snapshot"]),
        recipe=name,
        changes=different,
        previous=follows,
        demonstrations=of_set or (follows.demonstrations if follows else None),
    )


def recipe_asked_for(
    recipe: str | None, changes: list[str], follows: TrainingRound | None
) -> tuple[str, dict[str, Any]]:
    """The recipe's name and what is laid over it: a schedule goes on with what was changed in it before."""
    asked = recipes.read_changes("\n".join(map(as_toml, changes)))
    if recipe or not follows:
        return recipe or prefill.FIRST_RECIPE, asked
    told = prefill.recipe_of(follows)
    return told["recipe"], laid_over(recipes.read_changes(told["changes"]), asked)


def as_toml(change: str) -> str:
    """A bare word is text: a shell takes the quotes away, and --set dpo.loss=ipo is meant so."""
    key, equals, value = change.partition("=")
    if not equals or not key.strip():
        raise CommandError(f'--set {change}: write SECTION.KEY=VALUE, such as "dpo.beta=0.2".')
    try:
        recipes.read_changes(f"value = {value}")
    except recipes.RecipeError:
        return f"{key} = {json.dumps(value)}"
    return f"{key} = {value}"


def row_named(model: type[TrainingRound | DemonstrationSet], name: str, what: str) -> Any:
    found = model.objects.filter(name=name).first()
    if found is None:
        there = ", ".join(model.objects.values_list("name", flat=True)[:20]) or "none yet"
        raise CommandError(f'There is no {what} "{name}". There are: {there}.')
    return found


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
