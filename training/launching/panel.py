"""What stands beside the launch form: the recipe, what the round would cost, and what the check of its data says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sampling.long_tasks import TaskState
from training import recipe as recipes
from training.launching import checking, launch_checks
from training.launching.cost import Cost, StageCost, cost_of
from training.launching.forms import OF_THE_ROUND, RoundForm, recipe_names
from training.launching.report import Problem, Report, batch_words, problems_by_field, report_of
from training.models import LaunchCheck, StageKind
from training.running import round_plan


@dataclass(frozen=True)
class StageRow:
    """One stage of the table: as it was checked where it was, else as it is estimated."""

    cost: StageCost
    rows: int | None
    steps: int | None
    warmup_steps: int | None
    batch: str  # "512 = 8 x 64"

    @property
    def seconds(self) -> float | None:
        """None for a stage that has no row to train on."""
        return None if self.rows == 0 else self.cost.seconds


@dataclass(frozen=True)
class Panel:
    problems: Sequence[Problem]
    recipe: recipes.Recipe | None = None
    recipe_text: str = ""
    number: int = 1
    cost: Cost | None = None
    stages: Sequence[StageRow] = ()
    check: LaunchCheck | None = None
    report: Report | None = None
    warnings: Sequence[str] = ()
    models: Sequence[str] = ()  # the names of the model versions that the round makes

    @property
    def seconds(self) -> float:
        return sum(stage.seconds or 0.0 for stage in self.stages)

    @property
    def pairs_are_by_people(self) -> bool:
        """Whether no stage counts anybody else's judgments."""
        learns = [each for each in self.recipe.sections.values() if isinstance(each, recipes.PairTraining)]
        return bool(learns) and all(section.judges == "people" for section in learns)

    @property
    def train_pairs(self) -> int:
        counts = self.cost.counts
        return (counts.pairs_by_people if self.pairs_are_by_people else counts.pairs).train

    @property
    def is_checking(self) -> bool:
        return self.check is not None and not self.check.is_over

    @property
    def was_checked(self) -> bool:
        return self.check is not None and self.check.state == TaskState.FINISHED


def panel_of(form: RoundForm) -> Panel:
    """What a bound form asks for, whatever its fields hold."""
    wrong = {field: " ".join(errors) for field, errors in form.errors.items() if field in OF_THE_ROUND}
    text = recipe_text(form.data.get("recipe", ""))
    asked = form.asked
    if asked is None:
        return Panel(problems_by_field(wrong), recipe=_recipe(form), recipe_text=text, number=form.number)
    examined = launch_checks.examined(asked)
    check = checking.found(asked, examined.resolved) if examined.recipe else None
    problems = wrong | dict(examined.problems) | checking.problems_in(check)
    cost = cost_of(asked, examined.recipe) if examined.recipe else None
    report = report_of(check)
    return Panel(
        problems_by_field(problems),
        recipe=examined.recipe,
        recipe_text=text,
        number=asked.number,
        cost=cost,
        stages=stage_rows(cost, report) if cost else [],
        check=check,
        report=report,
        warnings=launch_checks.warnings_of(asked),
        models=_models(form, examined.recipe),
    )


def stage_rows(cost: Cost, report: Report | None) -> list[StageRow]:
    """The stages with what they train on: as checked where that was, else as estimated."""
    return [_row(stage, report) for stage in cost.stages]


def recipe_text(name: str) -> str:
    """The text of one of the project's recipes; never of any other file."""
    if name not in recipe_names():
        return ""
    return (recipes.RECIPES / f"{name}.toml").read_text(encoding="utf-8")


def _models(form: RoundForm, recipe: recipes.Recipe | None) -> list[str]:
    name = form.cleaned_data.get("name", "")
    if recipe is None or not launch_checks.NAME.fullmatch(name):
        return []
    made = (round_plan.model_name(name, StageKind(stage)) for stage in recipe.stages)
    return [model for model in made if model]


def _recipe(form: RoundForm) -> recipes.Recipe | None:
    """What can be told of the recipe while other fields are wrong."""
    name, changes = form.cleaned_data.get("recipe"), form.cleaned_data.get("changes")
    return launch_checks.understood(name, changes or {}, form.number)[1] if name else None


def _row(stage: StageCost, report: Report | None) -> StageRow:
    schedule = stage.schedule
    planned: dict[str, int | None] = {
        "rows": stage.rows,
        "steps": schedule.steps if schedule else None,
        "warmup_steps": schedule.warmup_steps if schedule else None,
        "batch": schedule.batch if schedule else None,
        "micro_batch": schedule.micro_batch if schedule else None,
        "accumulation": schedule.accumulation if schedule else None,
    }
    found: Mapping[str, int] = report.stages.get(stage.kind, {}) if report else {}
    known = planned | {name: found[name] for name in planned if found.get(name) is not None}
    batch = batch_words(known["batch"], known["micro_batch"], known["accumulation"])
    return StageRow(stage, known["rows"], known["steps"], known["warmup_steps"], batch)
