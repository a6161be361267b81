"""How fast a stage's pure work went: tokens and pairs a second, from what its program logged. Reads only."""

from typing import Any

from training.models import Stage, StageKind
from training.watching import run_files, trusted

SAMPLED = trusted.record("output_tokens", "seconds")
# What a row of training is; a step has as many as the recipe's batch.
ROWS = {
    StageKind.REWARD_MODEL: "pairs",
    StageKind.JUDGE_MODEL: "pairs",
    StageKind.DPO: "pairs",
    StageKind.SFT: "rows",
    StageKind.DEMONSTRATIONS: "rows",
}


def of_stage(stage: Stage, *, training_seconds: float) -> str:
    """ "12.5 pairs/s, 480 tokens/s"; empty where neither is known."""
    if stage.kind in ROWS:
        return _of_training(stage, training_seconds)
    rate = _sampled(stage)
    return f"{rate:,.0f} tokens/s sampled" if rate else ""


def _of_training(stage: Stage, seconds: float) -> str:
    rows = run_files.metrics(stage)
    told = []
    trained = sum(_rows_of_step(row, _batch(stage)) for row in rows)
    if trained and seconds > 0:
        told.append(f"{trained / seconds:,.1f} {ROWS[StageKind(stage.kind)]}/s")
    if tokens := _tokens_per_second(rows):
        told.append(f"{tokens:,.0f} tokens/s")
    return ", ".join(told)


def _rows_of_step(row: Any, batch: int | float | None) -> float:
    """Pairs come in whole rankings, so that a step says how many it had; any other step has the recipe's batch."""
    return trusted.number(row.get("pairs")) or batch or 0


def _batch(stage: Stage) -> int | float | None:
    recipe = stage.told.get("recipe") if isinstance(stage.told, dict) else None
    return trusted.number(recipe.get("batch")) if isinstance(recipe, dict) else None


def _tokens_per_second(rows: list[Any]) -> float | None:
    """Over the logged steps: their tokens by the seconds that they took at their rates."""
    tokens = seconds = before = 0.0
    for row in rows:
        count, rate = trusted.number(row.get("num_tokens")), trusted.number(row.get("tokens_per_second"))
        if count and rate:
            tokens += count - before
            seconds += (count - before) / rate
        before = count or before
    return tokens / seconds if seconds > 0 else None


def _sampled(stage: Stage) -> float | None:
    """Of all engines that the stage started, without their starts."""
    found = [run_files.read_once(_result, path) for path in sorted(stage.run_dir.glob("*/result.json"))]
    seconds = sum(each["seconds"] for each in found if each)
    return sum(each["output_tokens"] for each in found if each) / seconds if seconds > 0 else None


def _result(path: Any) -> Any:
    return SAMPLED(run_files.json_in(path))
