"""What rejection sampling chose from: scores and lengths of what it kept beside all, and answers beside each other.

The file of candidates may be long: it is read once, row by row, and of its texts only the first prompts' are held.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from sampling.charts import BarChart, bar_chart, number_label, ticks
from training.models import Stage
from training.watching import run_files, trusted
from training.watching.figures import Facts

Row = Mapping[str, Any]

CANDIDATES, KEPT = "candidates.jsonl", "kept.jsonl"
SHOWN = 40  # prompts whose answers can be looked at
BARS = 12  # about so many, over the scores that there are


@dataclass(frozen=True)
class Answer:
    """A candidate as the page shows it. ``tokens`` is None for one of an earlier round, whose file this is not."""

    text: str
    score: float | None
    tokens: int | None = None
    is_cut_off: bool = False


@dataclass(frozen=True)
class Choice:
    """One prompt: the answer that was kept, and this round's worst one; None where no other was sampled now."""

    prompt: Sequence[Mapping[str, str]]
    kept: Answer
    worst: Answer | None
    is_of_earlier_round: bool


@dataclass
class Chosen:
    """Scores, and lengths in tokens, of all candidates of this round and of those that were kept."""

    scores: array = field(default_factory=lambda: array("d"))
    scores_kept: array = field(default_factory=lambda: array("d"))
    tokens: array = field(default_factory=lambda: array("d"))  # of the prompts of which one was kept
    tokens_kept: array = field(default_factory=lambda: array("d"))  # of this round's own
    cut_off: int = 0
    choices: list[Choice] = field(default_factory=list)


def of_stage(stage: Stage) -> Chosen:
    return run_files.read_once(_read, stage.run_dir / CANDIDATES, stage.run_dir / KEPT)


def _read(candidates: Path, kept: Path) -> Chosen:
    return chosen_from(run_files.rows(candidates, trusted.CANDIDATE), run_files.rows(kept, trusted.KEPT))


def chosen_from(candidates: Iterable[Row], kept: Iterable[Row]) -> Chosen:
    """``candidates``: the rows of `candidates.jsonl`; ``kept``: those of `kept.jsonl`, one a prompt."""
    found = Chosen()
    best = {row["prompt_id"]: row for row in kept if row["messages"]}
    found.scores_kept.extend(row["score"] for row in best.values() if "score" in row)
    shown = set(list(best)[:SHOWN])
    of_kept: dict[str, Row] = {}
    worst: dict[str, Row] = {}
    for row in candidates:
        found.scores.append(row["score"])
        found.cut_off += _is_cut_off(row)
        prompt_id = row["prompt_id"]
        if prompt_id not in best:
            continue
        found.tokens.extend(_tokens(row))
        if prompt_id not in of_kept and _is(row, best[prompt_id]):
            of_kept[prompt_id] = row if prompt_id in shown else {}
            found.tokens_kept.extend(_tokens(row))
        elif prompt_id in shown and (prompt_id not in worst or row["score"] < worst[prompt_id]["score"]):
            worst[prompt_id] = row
    found.choices = [_choice(best[each], of_kept.get(each), worst.get(each)) for each in best if each in shown]
    return found


def charts_of(found: Chosen) -> list[BarChart]:
    """How the scores are spread, of all candidates and of those that were kept, on the same axis."""
    scores = [*found.scores, *found.scores_kept]
    if not found.scores or not found.scores_kept:
        return []
    edges = ticks(min(scores), max(scores), about=BARS)
    sides = (("Scores of all candidates", found.scores), ("Scores of those that were kept", found.scores_kept))
    return [
        bar_chart(title, _shares(values, edges), unit=f"% of {len(values):,}", x_title="score, up to the number")
        for title, values in sides
    ]


def facts_of(found: Chosen) -> Facts:
    """What the kept ones have and the others have not, beside their score."""
    facts: Facts = []
    if found.tokens and found.tokens_kept:
        kept, everything = fmean(found.tokens_kept), fmean(found.tokens)
        facts.append(("mean length", f"{kept:.1f} tokens kept, {everything:.1f} all candidates of these prompts"))
    if found.scores:
        facts.append(("cut off at the limit", f"{found.cut_off / len(found.scores):.0%} of all candidates"))
    return facts


def _shares(values: Sequence[float], edges: Sequence[float]) -> list[tuple[str, float]]:
    """The share of the values up to each edge and above the one before, in percent."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        index = next((index for index, edge in enumerate(edges[1:]) if value <= edge), len(counts) - 1)
        counts[index] += 1
    return [(number_label(edge), 100 * count / len(values)) for edge, count in zip(edges[1:], counts, strict=True)]


def _choice(kept: Row, of_round: Row | None, worst: Row | None) -> Choice:
    *prompt, answer = kept["messages"]
    row = of_round or {}
    return Choice(
        prompt=prompt,
        kept=Answer(answer["content"], kept.get("score"), row.get("tokens"), _is_cut_off(row)),
        worst=Answer(worst.get("text", ""), worst["score"], worst.get("tokens"), _is_cut_off(worst)) if worst else None,
        is_of_earlier_round=bool(kept.get("source")),
    )


def _is(row: Row, kept: Row) -> bool:
    """Whether the candidate is the one that was kept, which lost the blanks around it."""
    return not kept.get("source") and row.get("text", "").strip() == kept["messages"][-1]["content"]


def _is_cut_off(row: Row) -> bool:
    return row.get("finish_reason") == "length"


def _tokens(row: Row) -> list[float]:
    return [row["tokens"]] if "tokens" in row else []
