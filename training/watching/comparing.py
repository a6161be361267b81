"""Rounds side by side: what was different in their recipes, and what came of it."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sampling.charts import Chart
from training.models import Stage, StageKind, StageState, TrainingRound
from training.recipe import SECTIONS
from training.watching import charts, results, run_files
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
        Setting(results.label_of(name), "runs", [_yes_or_no(round.recipe.get(name)) for round in rounds])
        for name in SECTIONS
        if any(round.recipe.get(name) for round in rounds)
    ]
    for name in SECTIONS:
        sections = [round.recipe.get(name) for round in rounds]
        there = {key for section in sections if section for key in section} - {"rounds"}
        known = [field.name for field in dataclasses.fields(SECTIONS[name])]
        # In the order in which recipes are documented; keys of an older version, which nobody knows now, at the end.
        keys = [key for key in known if key in there] + sorted(there.difference(known))
        found += [Setting(results.label_of(name), key, [_value(section, key) for section in sections]) for key in keys]
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
    drawn = [
        shares("Win rate over the old policy", rows(evaluations, "win_rate", "win_rate_low", "win_rate_high")),
        shares("Win rate for equal lengths", rows(firsts, *controlled)),
        shares("Reward model on its held-out pairs", rows(rewards, "accuracy", "accuracy_low", "accuracy_high")),
        numbers("Mean length, new to old", rows(ratios, "ratio", "", ""), marked=1.0),
        numbers("KL to the old policy, nats a token", rows(evaluations, "kl_to_old", "", ""), marked=0.0),
        numbers("Perplexity on held-out text, new to old", rows(harness, "perplexity_ratio", "", ""), marked=1.0),
        numbers("Largest drop of a task, standard errors", rows(harness, "largest_drop", "", ""), marked=0.0),
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


def samples_of(rounds: Sequence[TrainingRound], *, start: int, count: int) -> tuple[list[Sample], int]:
    """``count`` eval prompts from ``start`` on that at least two of the rounds answered, and how many there are."""
    answers = [_answers(round) for round in rounds]
    shared: dict[str, Any] = {}
    for each in answers:
        for key, row in each.items():
            if key not in shared and sum(key in other for other in answers) >= LEAST:
                shared[key] = row["prompt"]
    page = islice(shared.items(), start, start + count)
    return [Sample(prompt, [_text(each.get(key)) for each in answers]) for key, prompt in page], len(shared)


def _answers(round: TrainingRound) -> dict[str, Mapping[str, Any]]:
    """By what was asked, not by the prompt's number: rounds may take the same prompt from other sets."""
    stage = _stage(round, StageKind.EVALUATE)
    rows = run_files.judged_prompts(stage) if stage and stage.state == StageState.FINISHED else []
    return {str(row.get("prompt")): row for row in rows if row.get("prompt")}


def _text(row: Mapping[str, Any] | None) -> str | None:
    return None if row is None else str(row.get("new", ""))


def _stage(round: TrainingRound, kind: StageKind) -> Stage | None:
    return next((_of(stage, round) for stage in round.stages.all() if stage.kind == kind), None)


def _of(stage: Stage, round: TrainingRound) -> Stage:
    stage.round = round  # the same object, so that its folder is not read again for each stage
    return stage


def _result(round: TrainingRound, kind: StageKind) -> Mapping[str, Any]:
    stage = _stage(round, kind)
    return (stage.result if stage else None) or {}


def _length_ratio(evaluation: Mapping[str, Any]) -> float | None:
    new, old = evaluation.get("mean_tokens_new"), evaluation.get("mean_tokens_old")
    return new / old if new is not None and old else None


def _yes_or_no(section: Any) -> str:
    return "yes" if section else "no"


def _value(section: Mapping[str, Any] | None, key: str) -> str | None:
    if not section:
        return None
    value = section.get(key)
    match value:
        case None | "" | []:
            return "none"
        case bool():
            return _yes_or_no(value)
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)
