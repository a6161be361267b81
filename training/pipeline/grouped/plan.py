"""Which rankings make a step, and which of them go through the model at once. No torch here.

A step is about the recipe's ``batch`` pairs, in whole rankings: a ranking that was cut in two steps would be computed
twice. There are as many steps as pairs alone would make, and each pair of a step counts the same, whatever rows it is
computed in. Of each epoch the steps are the same; that is the price of ordering them once, before anything trains.
"""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from training.pipeline.grouped.rankings import Ranking, cut
from training.pipeline.schedule import steps_of

# shared: one row holds rankings whole, one behind another, each prompt once; separate: a row is a prompt and one
# completion, and rows are padded to the longest.
Layout = Literal["shared", "separate"]


@dataclass(frozen=True)
class Part:
    """What goes through the model at once."""

    rankings: tuple[Ranking, ...]


@dataclass(frozen=True)
class Step:
    """What one process computes of one optimiser step; all processes have as many parts, to keep step."""

    parts: tuple[Part, ...]
    weight: float  # of the pairs of all processes in this step
    chosen_tokens: float  # of the chosen sides of all of them, each times its pair's weight


@dataclass(frozen=True)
class Limits:
    """Tokens that go through the model at once: what a ranking is cut for, and what is filled up with others."""

    most: int
    enough: int


@dataclass(frozen=True)
class Tokens:
    """What a plan puts through the model in one epoch, on all processes."""

    real: int
    padded: int
    of_pairs_alone: int  # what the same pairs take one by one, without padding

    @property
    def padding(self) -> float:
        """The share of positions that hold nothing."""
        return self.padded / (self.real + self.padded) if self.real + self.padded else 0.0


def plan(
    rankings: Sequence[Ranking],
    *,
    batch: int,
    tokens: int,
    layout: Layout,
    enough: int | None = None,
    processes: int = 1,
    seed: int = 0,
    across_steps: bool = False,
) -> list[list[Step]]:
    """Steps in their order, each a list of what the processes do; ``tokens`` are what a device holds at once.

    A part is above ``tokens`` only where a single pair is, and of several rankings only up to ``enough`` of them.
    ``across_steps``: a weight is beside those of all steps, and not of its own alone, so that a step may weigh more.
    """
    dice = random.Random(seed)  # noqa: S311 - no secret
    dealt = _whole_rankings(rankings, steps_of(sum(len(each.pairs) for each in rankings), batch, len(rankings)), dice)
    limits = Limits(tokens, tokens if enough is None else min(enough, tokens))
    steps = [_step(each, limits, layout=layout, processes=processes) for each in dealt]
    if not across_steps:
        return steps
    mean = sum(step[0].weight for step in steps) / len(steps)
    return [[replace(share, weight=mean) for share in step] for step in steps]


def tokens_of(steps: Sequence[Sequence[Step]], layout: Layout, *, multiple_of: int = 1) -> Tokens:
    """Count what a plan puts through the model; a row of rankings is filled up to a ``multiple_of`` positions."""
    parts = [part for step in steps for share in step for part in share.parts]
    real = sum(_real(ranking, layout) for part in parts for ranking in part.rankings)
    alone = sum(
        2 * len(ranking.prompt) + len(ranking.completions[pair.chosen]) + len(ranking.completions[pair.rejected])
        for part in parts
        for ranking in part.rankings
        for pair in ranking.pairs
    )
    room = [_room(part.rankings, layout) for part in parts]
    return Tokens(real, sum(each + -each % multiple_of for each in room) - real, alone)


def _whole_rankings(rankings: Sequence[Ranking], steps: int, dice: random.Random) -> list[list[Ranking]]:
    """Rankings dealt out so that steps have as like numbers of pairs as may be; drawn by chance among equals."""
    drawn = list(rankings)
    dice.shuffle(drawn)
    drawn.sort(key=lambda ranking: -len(ranking.pairs))  # stable: the dice decide among equals
    dealt: list[list[Ranking]] = [[] for _ in range(steps)]
    fewest = [(0, 0, number) for number in range(steps)]  # a heap: pairs, rankings, which step
    for ranking in drawn:
        pairs, count, number = fewest[0]
        dealt[number].append(ranking)
        heapq.heapreplace(fewest, (pairs + len(ranking.pairs), count + 1, number))
    dice.shuffle(dealt)
    return dealt


def _step(rankings: Sequence[Ranking], limits: Limits, *, layout: Layout, processes: int) -> list[Step]:
    pieces = [piece for ranking in rankings for piece in cut(ranking, limits.most, separate=layout == "separate")]
    shares = _dealt_by_size(pieces, processes, layout)
    parts = [_parts(share, limits.enough, layout) for share in shares]
    count = max(map(len, parts))
    idle = Part((min(pieces, key=lambda each: each.shared_tokens).without_weight(),))
    pairs = [(piece, pair) for piece in pieces for pair in piece.pairs]
    weight = sum(pair.weight for _, pair in pairs)
    chosen = sum(pair.weight * len(piece.completions[pair.chosen]) for piece, pair in pairs)
    return [Step((*own, *[idle] * (count - len(own))), weight, chosen) for own in parts]


def _dealt_by_size(pieces: Sequence[Ranking], processes: int, layout: Layout) -> list[list[Ranking]]:
    shares: list[list[Ranking]] = [[] for _ in range(processes)]
    sizes = [0] * processes
    for piece in sorted(pieces, key=lambda each: -_real(each, layout)):
        least = sizes.index(min(sizes))
        shares[least].append(piece)
        sizes[least] += _real(piece, layout)
    return shares


def _parts(pieces: Sequence[Ranking], tokens: int, layout: Layout) -> list[Part]:
    """Rankings that fit together; separate rows are put beside rows of like length, to pad little."""
    parts: list[list[Ranking]] = []
    for piece in sorted(pieces, key=lambda each: -(each.longest if layout == "separate" else each.shared_tokens)):
        fits = (part for part in parts if _room([*part, piece], layout) <= tokens)
        if layout == "separate":
            fits = (part for part in parts[-1:] if _room([*part, piece], layout) <= tokens)
        part = next(fits, None)
        if part is None:
            parts.append([piece])
        else:
            part.append(piece)
    return [Part(tuple(part)) for part in parts]


def _real(ranking: Ranking, layout: Layout) -> int:
    if layout == "shared":
        return ranking.shared_tokens
    return ranking.shared_tokens + (len(ranking.completions) - 1) * len(ranking.prompt)


def _room(rankings: Sequence[Ranking], layout: Layout) -> int:
    """Positions that these take together, padding and all."""
    if layout == "shared":
        return sum(ranking.shared_tokens for ranking in rankings)
    return max(ranking.longest for ranking in rankings) * sum(len(ranking.completions) for ranking in rankings)
