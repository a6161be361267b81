"""Preference pairs as a training stage reads them: which are used, in which order, and why the others are
not.

No tokenizer and no model here: the length of a conversation is asked of a function that the stage gives.
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sampling.engine.run_dir import RunDirError
from training.pipeline.left_out import LeftOut, count_by_reason, counted_in_words, shortened, write_left_out
from training.recipe import PairTraining

__all__ = [
    "MARGINS",
    "STRENGTHS",
    "LeftOut",
    "Lengths",
    "Messages",
    "Pair",
    "Selection",
    "among_held_out",
    "answered",
    "excerpt_of",
    "is_too_old",
    "left_out_pair",
    "read_pairs",
    "read_rows",
    "refuse_too_few",
    "select",
    "select_held_out",
    "write_left_out",
]

Messages = list[dict[str, str]]
Lengths = Callable[[Sequence[Messages]], list[int]]  # conversations -> tokens of each

# Weakest first: a strength's position is its number.
STRENGTHS = ("negligibly_better", "slightly_better", "better", "significantly_better")
# What Llama 2 asks the rewards of a pair to differ by, for each strength (arXiv 2307.09288, table 27).
MARGINS = {
    "small": {
        "significantly_better": 1.0,
        "better": 2 / 3,
        "slightly_better": 1 / 3,
        "negligibly_better": 0.0,
    },
    "large": {
        "significantly_better": 3.0,
        "better": 2.0,
        "slightly_better": 1.0,
        "negligibly_better": 0.0,
    },
}


@dataclass(frozen=True)
class Pair:
    """Two completions of one prompt, of which the first was preferred."""

    prompt_id: str
    prompt: Messages
    chosen: str
    rejected: str
    strength: str
    margin: float
    agreement: int = 0  # votes for less votes against
    chosen_cut_off: bool = False  # by max_tokens, when it was sampled
    rejected_cut_off: bool = False
    tie: bool = False  # neither was preferred: which is "chosen" here says nothing
    latest: bool = True  # of the newest snapshot of the schedule
    line: int = 0  # of the file that it was read from

    @property
    def conversations(self) -> tuple[Messages, Messages]:
        """The prompt with either completion, chosen first."""
        return answered(self.prompt, self.chosen), answered(self.prompt, self.rejected)

    @property
    def reversed(self) -> "Pair":
        """The other order of a tie."""
        return replace(
            self,
            chosen=self.rejected,
            rejected=self.chosen,
            chosen_cut_off=self.rejected_cut_off,
            rejected_cut_off=self.chosen_cut_off,
        )


@dataclass(frozen=True)
class Selection:
    """The pairs that are used, each with its length in tokens, and the others."""

    pairs: list[Pair]
    lengths: list[int]  # of the longer of the two conversations
    left_out: list[LeftOut]

    @property
    def dropped(self) -> dict[str, int]:
        """The number of the others by reason."""
        return count_by_reason(self.left_out)


def answered(prompt: Messages, completion: str) -> Messages:
    """The conversation that a completion makes of its prompt."""
    return [*prompt, {"role": "assistant", "content": completion}]


def read_pairs(path: Path | str) -> list[Pair]:
    """Read the preference export; raises `RunDirError` naming a line that is no pair, or whose margin is no number."""
    return [_pair(row, path, number) for number, row in read_rows(path)]


def read_rows(path: Path | str) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers; blank lines are nothing."""
    rows = []
    try:
        with Path(path).open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    rows.append((number, json.loads(line)))
    except FileNotFoundError:
        raise RunDirError(f"{path} does not exist. Export the snapshot, or run the stage before.") from None
    except ValueError as error:
        raise RunDirError(f"{path}, line {number} is not valid JSON ({error}). Export it again.") from None
    return rows


def select(pairs: Iterable[Pair], recipe: PairTraining, lengths_of: Lengths) -> Selection:
    """Choose the pairs to train on: usable ones, each prompt's strongest first.

    A tie that the recipe asks for is one pair until all is chosen, then both of its orders: one order alone would be a
    preference that nobody stated.
    """
    usable, left_out = _divide(pairs, lambda pair: _unusable(pair) or _unasked(pair, recipe))
    usable, lengths = _short_enough(usable, recipe.max_length, lengths_of, left_out)
    kept = _strongest(usable, recipe.max_pairs_per_prompt)
    surplus = sorted(set(range(len(usable))) - set(kept))
    left_out += [left_out_pair(usable[i], "more_than_max_pairs_per_prompt") for i in surplus]
    rows = [(each, lengths[i]) for i in kept for each in _orders(usable[i])]
    return Selection([pair for pair, _ in rows], [length for _, length in rows], left_out)


def select_held_out(pairs: Iterable[Pair], recipe: PairTraining, lengths_of: Lengths) -> Selection:
    """Choose the pairs to measure on: all of the recipe's snapshots that are usable, say which side is better, and fit.

    Of any strength: what is too weak to be learned from is still judged, and measured strength by strength.
    """
    usable, left_out = _divide(pairs, lambda pair: _unusable(pair) or _unmeasured(pair, recipe))
    usable, lengths = _short_enough(usable, recipe.max_length, lengths_of, left_out)
    return Selection(usable, lengths, left_out)


def among_held_out(left_out: Iterable[LeftOut]) -> list[LeftOut]:
    """The same, told apart by the reason from what is not trained on: the line that is named is of another file."""
    return [replace(each, reason=f"held_out_{each.reason}") for each in left_out]


def left_out_pair(pair: Pair, reason: str, *, tokens: int | None = None, limit: int | None = None) -> LeftOut:
    """The pair as a list of dropped rows names it."""
    return LeftOut(
        reason=reason,
        prompt_id=pair.prompt_id,
        line=pair.line or None,
        tokens=tokens,
        limit=limit,
        excerpt=excerpt_of(pair.prompt, pair.chosen, pair.rejected),
    )


def excerpt_of(prompt: Messages, *completions: str) -> str:
    """Enough of a pair to recognise it."""
    asked = shortened(prompt[-1]["content"], 60) if prompt else ""
    return " | ".join([asked, *(shortened(each, 40) for each in completions)])


def refuse_too_few(count: int, least: int, *, what: str, stage: str, dropped: dict[str, int], path: str) -> None:
    """Raise `RunDirError` when there is too little to learn from."""
    if count >= least:
        return
    reasons = counted_in_words(dropped)
    raise RunDirError(
        f"{path} has {count} usable {what}{f' ({reasons} left out)' if reasons else ''}; {stage} needs at "
        f"least {least}. Collect more judgments, choose another snapshot, or lower least_rows in the recipe."
    )


def _pair(row: dict[str, Any], path: Path | str, line: int) -> Pair:
    try:
        return Pair(
            prompt_id=str(row.get("prompt_id") or json.dumps(row["prompt"])),
            prompt=row["prompt"],
            chosen=_only_message(row["chosen"]),
            rejected=_only_message(row["rejected"]),
            strength=row.get("strength", STRENGTHS[0]),
            margin=_finite(row.get("margin", 0.0)),
            agreement=int(row.get("votes", 0)) - int(row.get("votes_against", 0)),
            chosen_cut_off=row.get("chosen_finish_reason") == "length",
            rejected_cut_off=row.get("rejected_finish_reason") == "length",
            tie=row.get("tie", False) is True,
            latest=row.get("latest", True) is not False,
            line=line,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunDirError(
            f"{path}, line {line} is not a preference pair ({type(error).__name__}: {error}). "
            'It needs "prompt", "chosen" and "rejected", each a list of messages.'
        ) from None


def _only_message(messages: Messages) -> str:
    if len(messages) != 1:
        raise ValueError(f"{len(messages)} messages where the completion must be one")
    return messages[0]["content"]


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a margin of {number}")
    return number


def _unusable(pair: Pair) -> str | None:
    if not pair.chosen.strip() or not pair.rejected.strip():
        return "empty"
    if pair.chosen.strip() == pair.rejected.strip():
        return "identical"
    return None


def _unasked(pair: Pair, recipe: PairTraining) -> str | None:
    """Why the recipe does not ask for a pair. A tie has no strength that could be too weak."""
    if is_too_old(pair, recipe):
        return "earlier_snapshot"
    if pair.tie:
        return None if getattr(recipe, "ties", False) else "tie"  # a reward model has no use for one
    if STRENGTHS.index(pair.strength) < STRENGTHS.index(recipe.least_strength):
        return "weaker_than_least_strength"
    return None


def _unmeasured(pair: Pair, recipe: PairTraining) -> str | None:
    """Why a stage does not measure on a pair."""
    if is_too_old(pair, recipe):
        return "earlier_snapshot"
    return "tie" if pair.tie else None


def is_too_old(pair: Pair, recipe: PairTraining) -> bool:
    """Whether a pair is of an earlier round's snapshot, and the stage reads the latest alone."""
    return recipe.snapshots == "latest" and not pair.latest


def _divide(pairs: Iterable[Pair], reason_of: Callable[[Pair], str | None]) -> tuple[list[Pair], list[LeftOut]]:
    """The pairs for which there is no reason to leave them out, and the others."""
    usable, left_out = [], []
    for pair in pairs:
        if reason := reason_of(pair):
            left_out.append(left_out_pair(pair, reason))
        else:
            usable.append(pair)
    return usable, left_out


def _short_enough(
    pairs: list[Pair], max_length: int, lengths_of: Lengths, left_out: list[LeftOut]
) -> tuple[list[Pair], list[int]]:
    sides = lengths_of([conversation for pair in pairs for conversation in pair.conversations])
    lengths = [max(sides[2 * i], sides[2 * i + 1]) for i in range(len(pairs))]
    fitting = [i for i, length in enumerate(lengths) if length <= max_length]
    left_out += [
        left_out_pair(pair, "too_long", tokens=length, limit=max_length)
        for pair, length in zip(pairs, lengths, strict=True)
        if length > max_length
    ]
    return [pairs[i] for i in fitting], [lengths[i] for i in fitting]


def _orders(pair: Pair) -> list[Pair]:
    return [pair, pair.reversed] if pair.tie else [pair]


def _strongest(pairs: list[Pair], at_most: int) -> list[int]:
    """Indices of each prompt's strongest pairs, in the order of the file."""
    by_prompt = defaultdict(list)
    for index, pair in enumerate(pairs):
        by_prompt[pair.prompt_id].append(index)
    kept: list[int] = []
    for indices in by_prompt.values():
        # Stable: among equals the file's order decides, so a rerun trains on the same pairs. Ties come last.
        indices.sort(key=lambda i: _weakness(pairs[i]))
        kept += indices[:at_most]
    return sorted(kept)


def _weakness(pair: Pair) -> tuple:
    return pair.tie, -STRENGTHS.index(pair.strength), -pair.margin, -pair.agreement
