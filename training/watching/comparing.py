"""Rounds side by side: what was different in their recipes, and what came of it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sampling.charts import Chart
from training.evaluation.standings import standing
from training.models import Stage, StageKind, StageState, TrainingRound
from training.recipe import SECTIONS
from training.watching import charts, figures, recipe_values, run_files, timing
from training.watching.whiskers import Measured, Whiskers, numbers, shares

LEAST, MOST = 2, 6


@dataclass(frozen=True)
class Setting:
    """One value of the recipes, a round each; None where the round has not that stage."""

    section: str
    key: str
    values: Sequence[str | None]

    @property
    def differs(self) -> bool:
        return len({value for value in self.values if value is not None}) > 1


@dataclass(frozen=True)
class Sample:
    """One eval prompt, and what each round's new policy said; None where it was not asked."""

    prompt: Sequence[Mapping[str, str]]
    answers: Sequence[str | None]


def settings_of(rounds: Sequence[TrainingRound]) -> list[Setting]:
    """Every value that any of the rounds has, in the recipe's own order; which stages run comes first."""
    found = [
        Setting(figures.label_of(name), "runs", [recipe_values.yes_or_no(round.recipe.get(name)) for round in rounds])
        for name in SECTIONS
        if any(round.recipe.get(name) for round in rounds)
    ]
    for name in SECTIONS:
        sections = [round.recipe.get(name) for round in rounds]
        there = {key for section in sections if section for key in section} - {"rounds"}
        keys = recipe_values.in_order(SECTIONS[name], there)
        found += [Setting(figures.label_of(name), key, [_value(section, key) for section in sections]) for key in keys]
    return found


def origins_of(rounds: Sequence[TrainingRound]) -> list[Setting]:
    """What the rounds started from."""
    asked: dict[str, Callable[[TrainingRound], Any]] = {
        "recipe": lambda round: round.recipe_name,
        "base policy": lambda round: round.base_policy.name,
        "snapshot": lambda round: f"{round.snapshot.project.name} / {round.snapshot.name}",
        "demonstrations": lambda round: round.demonstrations.name if round.demonstrations else "none",
        "round of its schedule": lambda round: round.number,
        "seed": lambda round: round.seed,
    }
    return [Setting("", label, [str(read(round)) for round in rounds]) for label, read in asked.items()]


def outcomes_of(rounds: Sequence[TrainingRound]) -> list[Whiskers]:
    """The figures by which rounds are judged, a row for each round in its own colour; only those that any has."""
    evaluations = [_result(round, StageKind.EVALUATE) for round in rounds]
    rewards = [_result(round, StageKind.REWARD_MODEL) for round in rounds]
    firsts = [(evaluation.get("matches") or [{}])[0] for evaluation in evaluations]

    def rows(found: Iterable[Mapping[str, Any]], name: str, low: str, high: str) -> list[Measured]:
        together = enumerate(zip(rounds, found, strict=True), start=1)
        return [
            Measured(label=round.name, value=each.get(name), low=each.get(low), high=each.get(high), colour=colour)
            for colour, (round, each) in together
        ]

    controlled = ("length_controlled_win_rate", "length_controlled_low", "length_controlled_high")
    ratios = [{"ratio": _length_ratio(evaluation)} for evaluation in evaluations]
    harness = [_result(round, StageKind.HARNESS) for round in rounds]
    by_people = [_by_people(round) for round in rounds]
    times = [_times(round) for round in rounds]
    drawn = [
        shares("Win rate over the old policy", rows(evaluations, "win_rate", "win_rate_low", "win_rate_high")),
        shares("Win rate for equal lengths", rows(firsts, *controlled)),
        shares("Win rate over the old policy, by people", rows(by_people, "win_rate", "low", "high")),
        shares("Reward model on its held-out pairs", rows(rewards, "accuracy", "accuracy_low", "accuracy_high")),
        numbers("Mean length, new to old", rows(ratios, "ratio", "", ""), marked=1.0),
        numbers("KL to the old policy, nats a token", rows(evaluations, "kl_to_old", "", ""), marked=0.0),
        numbers("Perplexity on held-out text, new to old", rows(harness, "perplexity_ratio", "", ""), marked=1.0),
        numbers("Largest drop of a task, standard errors", rows(harness, "largest_drop", "", ""), marked=0.0),
        numbers("Minutes on the clock", rows(times, "minutes", "", "")),
        numbers("Time on the clock to pure work", rows(times, "ratio", "", ""), marked=1.0, digits=2),
    ]
    return [each for each in drawn if each]


def stages_with_curves(rounds: Sequence[TrainingRound]) -> dict[StageKind, int]:
    """The kinds of stages of which any of the rounds has logged a step, in order, and how many rounds have."""
    stages = [_of(stage, round) for round in rounds for stage in round.stages.all()]
    logged = Counter(stage.kind for stage in stages if run_files.metrics(stage))
    return {kind: logged[kind] for kind in StageKind if kind in logged}


def curves_of(rounds: Sequence[TrainingRound], kind: StageKind) -> list[Chart]:
    """One chart a metric, a line a round."""
    found = {round.name: _stage(round, kind) for round in rounds}
    return charts.overlaid({name: run_files.metrics(stage) if stage else [] for name, stage in found.items()})


def samples_of(rounds: Sequence[TrainingRound]) -> list[Sample]:
    """The eval prompts that at least two of the rounds answered."""
    answers = [_answers(round) for round in rounds]
    shared: dict[str, Any] = {}
    for each in answers:
        for key, row in each.items():
            if key not in shared and sum(key in other for other in answers) >= LEAST:
                shared[key] = row["prompt"]
    return [Sample(prompt, [_text(each.get(key)) for each in answers]) for key, prompt in shared.items()]


def _answers(round: TrainingRound) -> dict[str, Mapping[str, Any]]:
    """By what was asked, not by the prompt's number: rounds may take the same prompt from other sets."""
    stage = _stage(round, StageKind.EVALUATE)
    rows = run_files.judged_prompts(stage) if stage and stage.state == StageState.FINISHED else []
    return {str(row["prompt"]): row for row in rows if row["prompt"]}


def _text(row: Mapping[str, Any] | None) -> str | None:
    return None if row is None else row.get("new", "")


def _stage(round: TrainingRound, kind: StageKind) -> Stage | None:
    return next((_of(stage, round) for stage in round.stages.all() if stage.kind == kind), None)


def _of(stage: Stage, round: TrainingRound) -> Stage:
    stage.round = round  # the same object, so that its folder is not read again for each stage
    return stage


def _result(round: TrainingRound, kind: StageKind) -> Mapping[str, Any]:
    stage = _stage(round, kind)
    return run_files.result_of(stage) if stage else {}


def _by_people(round: TrainingRound) -> Mapping[str, Any]:
    """What people say of the new policy and the old one; nothing where nobody was asked."""
    test = next((test for test in round.blind_tests.all() if test.opponent_id == round.base_policy_id), None)
    if test is None:
        return {}
    test.round = round  # the same object, so that it is not read again
    return asdict(standing(test))


def _times(round: TrainingRound) -> Mapping[str, Any]:
    """How long it took; nothing where that is not on record, or it still runs."""
    found = timing.of_round(round, [_of(stage, round) for stage in round.stages.all()]) if round.is_over else None
    return {"minutes": found.wall / 60, "ratio": found.ratio} if found else {}


def _length_ratio(evaluation: Mapping[str, Any]) -> float | None:
    new, old = evaluation.get("mean_tokens_new"), evaluation.get("mean_tokens_old")
    return new / old if new is not None and old else None


def _value(section: Mapping[str, Any] | None, key: str) -> str | None:
    return recipe_values.words_of(section.get(key)) if section else None
