"""Preference pairs as a training stage reads them: which are used, in which order, and why the others are
not.

No tokenizer and no model here: the length of a conversation is asked of a function that the stage gives.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sampling.engine.run_dir import RunDirError
from training.recipe import PairTraining

Messages = list[dict[str, str]]
Lengths = Callable[[Sequence[Messages]], list[int]]  # conversations -> tokens of each

# Weakest first: a strength's position is its number.
STRENGTHS = ("negligibly_better", "slightly_better", "better", "significantly_better")


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

    @property
    def conversations(self) -> tuple[Messages, Messages]:
        """The prompt with either completion, chosen first."""
        return answered(self.prompt, self.chosen), answered(self.prompt, self.rejected)

    def as_row(self) -> dict[str, Any]:
        """TRL's conversational preference row with an explicit prompt."""
        chosen, rejected = ([{"role": "assistant", "content": each}] for each in (self.chosen, self.rejected))
        return {"prompt": self.prompt, "chosen": chosen, "rejected": rejected}


@dataclass(frozen=True)
class Selection:
    """The pairs that are used, each with its length in tokens, and the number of others by reason."""

    pairs: list[Pair]
    lengths: list[int]  # of the longer of the two conversations
    dropped: dict[str, int]


def answered(prompt: Messages, completion: str) -> Messages:
    """The conversation that a completion makes of its prompt."""
    return [*prompt, {"role": "assistant", "content": completion}]


def read_pairs(path: Path | str) -> list[Pair]:
    """Read the preference export; raises `RunDirError` naming the line that is not a pair."""
    return [_pair(row, f"{path}, line {number}") for number, row in read_rows(path)]


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
    """Choose the pairs to train on: usable ones, each prompt's strongest first."""
    dropped: Counter[str] = Counter()
    usable = []
    for pair in pairs:
        if reason := _unusable(pair) or _too_weak(pair, recipe):
            dropped[reason] += 1
        else:
            usable.append(pair)
    usable, lengths = _short_enough(usable, recipe.max_length, lengths_of, dropped)
    chosen = _strongest(usable, recipe.max_pairs_per_prompt)
    if surplus := len(usable) - len(chosen):
        dropped["more_than_max_pairs_per_prompt"] = surplus
    return Selection([usable[i] for i in chosen], [lengths[i] for i in chosen], dict(dropped))


def select_held_out(pairs: Iterable[Pair], max_length: int, lengths_of: Lengths) -> Selection:
    """Choose the pairs to measure on: all that are usable and fit."""
    dropped: Counter[str] = Counter()
    usable = []
    for pair in pairs:
        if reason := _unusable(pair):
            dropped[reason] += 1
        else:
            usable.append(pair)
    usable, lengths = _short_enough(usable, max_length, lengths_of, dropped)
    return Selection(usable, lengths, dict(dropped))


def refuse_too_few(count: int, least: int, *, what: str, stage: str, dropped: dict[str, int], path: str) -> None:
    """Raise `RunDirError` when there is too little to learn from."""
    if count >= least:
        return
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(dropped.items()))
    raise RunDirError(
        f"{path} has {count} usable {what}{f' ({reasons} left out)' if reasons else ''}; {stage} needs at "
        f"least {least}. Collect more judgments, choose another snapshot, or lower least_rows in the recipe."
    )


def _pair(row: dict[str, Any], where: str) -> Pair:
    try:
        return Pair(
            prompt_id=str(row.get("prompt_id") or json.dumps(row["prompt"])),
            prompt=row["prompt"],
            chosen=_only_message(row["chosen"]),
            rejected=_only_message(row["rejected"]),
            strength=row.get("strength", STRENGTHS[0]),
            margin=float(row.get("margin", 0.0)),
            agreement=int(row.get("votes", 0)) - int(row.get("votes_against", 0)),
            chosen_cut_off=row.get("chosen_finish_reason") == "length",
            rejected_cut_off=row.get("rejected_finish_reason") == "length",
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunDirError(
            f"{where} is not a preference pair ({type(error).__name__}: {error}). "
            'It needs "prompt", "chosen" and "rejected", each a list of messages.'
        ) from None


def _only_message(messages: Messages) -> str:
    if len(messages) != 1:
        raise ValueError(f"{len(messages)} messages where the completion must be one")
    return messages[0]["content"]


def _unusable(pair: Pair) -> str | None:
    if not pair.chosen.strip() or not pair.rejected.strip():
        return "empty"
    if pair.chosen.strip() == pair.rejected.strip():
        return "identical"
    return None


def _too_weak(pair: Pair, recipe: PairTraining) -> str | None:
    if STRENGTHS.index(pair.strength) < STRENGTHS.index(recipe.least_strength):
        return "weaker_than_least_strength"
    return None


def _short_enough(
    pairs: list[Pair], max_length: int, lengths_of: Lengths, dropped: Counter[str]
) -> tuple[list[Pair], list[int]]:
    sides = lengths_of([conversation for pair in pairs for conversation in pair.conversations])
    lengths = [max(sides[2 * i], sides[2 * i + 1]) for i in range(len(pairs))]
    fitting = [i for i, length in enumerate(lengths) if length <= max_length]
    if too_long := len(pairs) - len(fitting):
        dropped["too_long"] += too_long
    return [pairs[i] for i in fitting], [lengths[i] for i in fitting]


def _strongest(pairs: list[Pair], at_most: int) -> list[int]:
    """Indices of each prompt's strongest pairs, in the order of the file."""
    by_prompt = defaultdict(list)
    for index, pair in enumerate(pairs):
        by_prompt[pair.prompt_id].append(index)
    kept: list[int] = []
    for indices in by_prompt.values():
        # Stable: among equals the file's order decides, so a rerun trains on the same pairs.
        indices.sort(key=lambda i: (-STRENGTHS.index(pairs[i].strength), -pairs[i].margin, -pairs[i].agreement))
        kept += indices[:at_most]
    return sorted(kept)
