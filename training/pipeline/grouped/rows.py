"""What goes through the model at once, as tensors.

For log-probabilities a completion is read from the prompt's last token on, which predicts its first one, to its last
token but one; in a shared row that token of the prompt stands before each completion. For rewards a completion is read
whole; its last token that is no padding has the reward, as in transformers' classifiers: some tokenizers
pad with the end token. Shapes: R rows of T positions, C completions, N tokens of completions, P pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch

from training.pipeline.grouped.attention import Blocks
from training.pipeline.grouped.plan import Layout, Part
from training.pipeline.grouped.rankings import Ids, Ranking

Of = Literal["log_probs", "rewards"]
Tensor = torch.Tensor


@dataclass(frozen=True)
class Rows:
    """A part of a step."""

    input_ids: Tensor  # (R, T)
    position_ids: Tensor  # (R, T)
    attention_mask: Tensor | None  # (R, T), 1 where there is a token; None in a shared row
    blocks: Blocks | None  # of a shared row
    read_at: Tensor  # (N,) for log-probabilities, (C,) for rewards: places in the rows, counted through
    targets: Tensor  # (N,) the token that each place predicts; empty for rewards
    owner: Tensor  # (N,) or (C,): which completion each place is read for
    lengths: Tensor  # (C,) tokens of each completion
    chosen: Tensor  # (P,) which completion
    rejected: Tensor  # (P,)
    margins: Tensor  # (P,)
    weights: Tensor  # (P,)
    tokens: int  # that are no padding

    def to(self, device: torch.device) -> "Rows":
        """The same on another device."""
        tensors = {each.name: getattr(self, each.name) for each in fields(self)}
        moved = {name: value.to(device) for name, value in tensors.items() if isinstance(value, Tensor)}
        return replace(self, **moved, blocks=self.blocks and self.blocks.to(device))

    @property
    def completions(self) -> int:
        return len(self.lengths)

    @property
    def positions(self) -> int:
        """Padding and all."""
        return self.input_ids.numel()


def rows_of(part: Part, *, of: Of, layout: Layout, pad_token_id: int, multiple_of: int = 1) -> Rows:
    """The tensors of a part. A shared row is padded to a multiple of ``multiple_of`` positions."""
    reads = [_read(ranking, of) for ranking in part.rankings]
    make = _shared if layout == "shared" else _separate
    return make(part.rankings, reads, of=of, pad=pad_token_id, multiple_of=multiple_of)


@dataclass(frozen=True)
class _Read:
    """A ranking as the model reads it."""

    start: Ids  # that all its completions share
    branches: tuple[Ids, ...]


def _read(ranking: Ranking, of: Of) -> _Read:
    if of == "rewards":
        return _Read(ranking.prompt, ranking.completions)
    last = ranking.prompt[-1:]
    return _Read(ranking.prompt[:-1], tuple((*last, *completion[:-1]) for completion in ranking.completions))


def _shared(rankings: Sequence[Ranking], reads: Sequence[_Read], *, of: Of, pad: int, multiple_of: int) -> Rows:
    ids: list[int] = []
    positions: list[int] = []
    places: list[range] = []  # of each completion
    for read in reads:
        ids += read.start
        positions += range(len(read.start))
        for branch in read.branches:
            places.append(range(len(ids), len(ids) + len(branch)))
            ids += branch
            positions += range(len(read.start), len(read.start) + len(branch))
    tokens = len(ids)
    rest = -tokens % multiple_of
    ids += [pad] * rest
    positions += [0] * rest
    return Rows(
        input_ids=torch.tensor([ids]),
        position_ids=torch.tensor([positions]),
        attention_mask=None,
        blocks=Blocks(tuple((len(read.start), tuple(map(len, read.branches))) for read in reads), rest),
        tokens=tokens,
        **_read_at(rankings, places, of, pad),
        **_pairs(rankings),
    )


def _separate(rankings: Sequence[Ranking], reads: Sequence[_Read], *, of: Of, pad: int, multiple_of: int) -> Rows:
    rows = [((*read.start, *branch), len(read.start)) for read in reads for branch in read.branches]
    longest = max(len(row) for row, _ in rows)
    places = [range(i * longest + start, i * longest + len(row)) for i, (row, start) in enumerate(rows)]
    return Rows(
        input_ids=torch.tensor([[*row, *[pad] * (longest - len(row))] for row, _ in rows]),
        position_ids=torch.arange(longest).expand(len(rows), -1),
        attention_mask=torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row, _ in rows]),
        blocks=None,
        tokens=sum(len(row) for row, _ in rows),
        **_read_at(rankings, places, of, pad),
        **_pairs(rankings),
    )


def _read_at(rankings: Sequence[Ranking], places: Sequence[range], of: Of, pad: int) -> dict[str, Tensor]:
    completions = [completion for ranking in rankings for completion in ranking.completions]
    lengths = torch.tensor([len(completion) for completion in completions])
    if of == "rewards":
        ends = torch.tensor([place[_end(ids, pad)] for place, ids in zip(places, completions, strict=True)])
        return {"read_at": ends, "targets": ends[:0], "owner": torch.arange(len(ends)), "lengths": lengths}
    return {
        "read_at": torch.tensor([at for place in places for at in place]),
        "targets": torch.tensor([token for completion in completions for token in completion]),
        "owner": torch.arange(len(completions)).repeat_interleave(lengths),
        "lengths": lengths,
    }


def _end(completion: Ids, pad: int) -> int:
    """Where the last token is that is no padding."""
    return next((i for i in range(len(completion) - 1, -1, -1) if completion[i] != pad), len(completion) - 1)


def _pairs(rankings: Sequence[Ranking]) -> dict[str, Tensor]:
    first, chosen, rejected, margins, weights = 0, [], [], [], []
    for ranking in rankings:
        for pair in ranking.pairs:
            chosen.append(first + pair.chosen)
            rejected.append(first + pair.rejected)
            margins.append(pair.margin)
            weights.append(pair.weight)
        first += len(ranking.completions)
    return {
        "chosen": torch.tensor(chosen),
        "rejected": torch.tensor(rejected),
        "margins": torch.tensor(margins),
        "weights": torch.tensor(weights),
    }
