"""A finished stage's result in pictures and tables, for one template to show. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from sampling.charts import BarChart
from training.launching.report import Report, batch_words, report_in
from training.models import StageKind
from training.watching import candidates, evaluation_results, figures
from training.watching.figures import label_of
from training.watching.tables import Cell, Table, number_cell, table
from training.watching.whiskers import Whiskers, of_result, shares

Result = Mapping[str, Any]
Names = Mapping[str, str]  # of model versions, by location


@dataclass(frozen=True)
class Pictures:
    """All that a result has to show beside its figures in words."""

    problems: Sequence[str] = ()
    notes: Sequence[str] = ()
    whiskers: Sequence[Whiskers] = ()
    bars: Sequence[BarChart] = ()
    tables: Sequence[Table] = ()
    more: figures.Facts = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.problems, self.notes, self.whiskers, self.bars, self.tables, self.more))


def pictures_of(
    kind: StageKind, result: Result | None, names: Names | None = None, chosen: candidates.Chosen | None = None
) -> Pictures:
    """``names``: what the locations in the result are called; a location that is not among them shows its folders.

    ``chosen``: what rejection sampling chose from.
    """
    if not result:
        return Pictures()
    match kind:
        case StageKind.CHECK:
            return _of_check(report) if (report := report_in(result)) else Pictures()
        case StageKind.REWARD_MODEL | StageKind.JUDGE_MODEL:
            return _of_reward_model(result, names or {})
        case StageKind.REJECTION_SAMPLING:
            return _of_rejection_sampling(result, chosen)
        case StageKind.EVALUATE:
            return _of_evaluation(result)
        case StageKind.HARNESS:
            return _of_harness(result)
        case StageKind.DEMONSTRATIONS | StageKind.SFT | StageKind.DPO:
            return Pictures()
        case _:
            assert_never(kind)


def locations_in(result: Result | None) -> set[str]:
    """The models that a reward model's result speaks of."""
    rivals = [rival.get("location") for rival in (result or {}).get("rivals") or []]
    return {location for location in [*rivals, (result or {}).get("best")] if location}


# --- the check ----------------------------------------------------------------------------------------------------


def _of_check(report: Report) -> Pictures:
    more = [(finding.what, finding.words) for finding in report.findings]
    more += [(lengths.label.lower(), lengths.words) for lengths in report.lengths]
    return Pictures(
        problems=report.problems,
        notes=report.warnings,
        bars=[lengths.chart for lengths in report.lengths if lengths.chart],
        tables=_given(_planned(report.stages)),
        more=more + _memory(report),
    )


def _planned(stages: Mapping[str, Mapping[str, Any]]) -> Table | None:
    rows = []
    # The database keeps no order of keys.
    for kind, each in sorted(stages.items(), key=lambda stage: _position(stage[0])):
        batch = batch_words(each.get("batch"), each.get("micro_batch"), each.get("accumulation"))
        dropped = sum(each.get("dropped", {}).values())
        steps = (number_cell(each.get(key), "{:,}") for key in ("rows", "steps", "warmup_steps"))
        rows.append([Cell(label_of(kind)), *steps, Cell(batch, is_number=True), number_cell(dropped, "{:,}")])
    columns = [("Stage", False), *((label, True) for label in ("Rows", "Steps", "Warm-up", "Batch", "Left out"))]
    note = "A batch of 8 = 2 x 4 is one step on 8 rows: 2 times 4 in memory together, and their gradients are added up."
    return table("What each stage will do", columns, rows, note=note)


def _memory(report: Report) -> figures.Facts:
    needed, free = report.memory_bytes, report.memory_free_bytes
    if needed is None or free is None:
        return []
    return [("memory", f"about {figures.size(needed)} needed, {figures.size(free)} free")]


# --- reward models and rejection sampling -------------------------------------------------------------------------


def _of_reward_model(result: Result, names: Names) -> Pictures:
    return Pictures(whiskers=_given(_accuracy(result), _rivals(result, names)))


def _accuracy(result: Result) -> Whiskers | None:
    baseline = result.get("length_baseline") or {}
    by_length = baseline.get("accuracy")
    whole = {"note": _pairs(result.get("pairs_eval")), "baseline": by_length}
    rows = [of_result("all held-out pairs", result, "accuracy", **whole)]
    for each in result.get("by_strength") or []:
        rows.append(of_result(each["strength"].replace("_", " "), each, "accuracy", note=_pairs(each.get("pairs"))))
    if baseline:
        rows.append(of_result("the longer one wins", baseline, "accuracy", note="no model", colour=2))
    return shares("Accuracy on held-out pairs", rows, key="length alone")


def _rivals(result: Result, names: Names) -> Whiskers | None:
    rivals = result.get("rivals") or []
    if not rivals:
        return None
    is_best = bool(result.get("best_is_new"))
    rows = [of_result("this one", result, "accuracy", note=_scores(is_best))]
    for each in rivals:
        note = _scores(not is_best and each["location"] == result.get("best"))
        rows.append(of_result(_name(each["location"], names), each, "accuracy", note=note, colour=3))
    return shares("Reward models of all rounds, on these pairs", rows)


def _scores(is_best: bool) -> str:
    return "the best: it scores the candidates" if is_best else ""


def _of_rejection_sampling(result: Result, chosen: candidates.Chosen | None) -> Pictures:
    return Pictures(
        bars=candidates.charts_of(chosen) if chosen else [],
        tables=_given(_sweep(result)),
        more=figures.mean_scores(result) + (candidates.facts_of(chosen) if chosen else []),
    )


def _sweep(result: Result) -> Table | None:
    used = result.get("temperature")
    rows = []
    for each in result.get("sweep") or []:
        chosen = Cell("yes", badge="finished") if each["temperature"] == used else Cell("")
        scores = (number_cell(each.get(name), "{:.3f}") for name in ("mean_best_score", "mean_score"))
        rows.append(
            [number_cell(each["temperature"], "{:g}"), *scores, number_cell(each.get("all_alike"), "{:,}"), chosen]
        )
    labels = ("Temperature", "Mean score of the best", "Mean score of all", "Prompts all alike")
    return table("Which temperature", [*((label, True) for label in labels), ("Used", False)], rows)


def _of_evaluation(result: Result) -> Pictures:
    matches = result.get("matches") or []
    return Pictures(
        whiskers=_given(evaluation_results.win_rates(matches), evaluation_results.ratings(result)),
        tables=_given(evaluation_results.matches_table(matches)),
        more=[("mean length, old to new", figures.lengths(result)), *figures.cut_off(result)],
    )


def _of_harness(result: Result) -> Pictures:
    old, new = result.get("perplexity_old"), result.get("perplexity_new")
    more = []
    if old is not None and new is not None:
        more.append(("perplexity", f"{old:.2f} to {new:.2f}, on {result.get('text') or 'the text of the project'}"))
    return Pictures(tables=_given(evaluation_results.tasks_table(result)), more=more)


# --- words --------------------------------------------------------------------------------------------------------


def _position(kind: str) -> int:
    return StageKind.values.index(kind) if kind in StageKind.values else len(StageKind.values)


def _name(location: str, names: Names) -> str:
    return names.get(location) or "/".join(Path(location).parts[-3:])


def _pairs(count: int | None) -> str:
    return "" if count is None else f"{count:,} pairs"


def _given(*items: Any) -> list[Any]:
    return [item for item in items if item is not None]
