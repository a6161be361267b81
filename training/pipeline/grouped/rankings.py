"""From pairs of token ids to rankings: completions that share a prompt, and the pairs between them.

No torch here. Nothing is dropped: every pair that comes in is in exactly one ranking.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

Ids = tuple[int, ...]


@dataclass(frozen=True)
class TokenPair:
    """Two completions of a prompt as token ids, the chosen one first, and what the loss is told of them."""

    prompt: Ids
    chosen: Ids
    rejected: Ids
    margin: float = 0.0  # what the rewards are asked to differ by
    weight: float = 1.0  # beside the other pairs of the step


@dataclass(frozen=True)
class Comparison:
    """A pair within its ranking: two positions among the completions."""

    chosen: int
    rejected: int
    margin: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True)
class Ranking:
    """A prompt, some completions of it, each once, and pairs of them."""

    prompt: Ids
    completions: tuple[Ids, ...]
    pairs: tuple[Comparison, ...]

    @property
    def shared_tokens(self) -> int:
        """Tokens of one row that holds the prompt once."""
        return len(self.prompt) + sum(map(len, self.completions))

    @property
    def longest(self) -> int:
        """Tokens of the prompt with its longest completion."""
        return len(self.prompt) + max(map(len, self.completions))

    def without_weight(self) -> "Ranking":
        """The same for the model, and nothing for the loss: a process that has no ranking left keeps step with it."""
        return replace(self, pairs=tuple(replace(pair, weight=0.0) for pair in self.pairs))


def group(pairs: Iterable[TokenPair]) -> list[Ranking]:
    """The rankings of some pairs, in the order in which their prompts come first.

    A prompt that several people ranked, or that was compared more than once, is one ranking: completions of the same
    tokens are one completion. A pair that comes twice counts twice.
    """
    by_prompt: dict[Ids, tuple[dict[Ids, int], list[Comparison]]] = {}
    for pair in pairs:
        at, compared = by_prompt.setdefault(pair.prompt, ({}, []))
        chosen, rejected = (at.setdefault(side, len(at)) for side in (pair.chosen, pair.rejected))
        compared.append(Comparison(chosen, rejected, pair.margin, pair.weight))
    return [Ranking(prompt, tuple(at), tuple(compared)) for prompt, (at, compared) in by_prompt.items()]


def longest_shared_start(texts: Sequence[Ids]) -> int:
    """Tokens that all texts begin with; at least one of each text is left over."""
    first, last = min(texts), max(texts)  # of sorted texts, the outer two differ first
    limit = min(map(len, texts)) - 1
    return next((i for i in range(limit) if first[i] != last[i]), limit)


def without_padding(ids: Ids, pad: int) -> Ids:
    """Up to the last token that is no padding, where transformers' classifiers read a row; the first token at least.

    Where the pad token is the end token too, they pass over an end: a text may end before a completion's last token.
    """
    end = next((i for i in range(len(ids) - 1, 0, -1) if ids[i] != pad), 0)
    return ids[: end + 1]


def cut(ranking: Ranking, most_tokens: int, *, separate: bool = False) -> list[Ranking]:
    """Rankings with the same pairs, none above ``most_tokens`` tokens in a shared row, where that can be.

    ``separate``: none above that many in rows of their own, of which each is as long as the longest.

    A loss is a sum over pairs, so it stays what it is; completions of two pieces are computed twice. A single pair is
    never cut. Greedy: each piece takes in the completion that settles most of the pairs that are left.
    """
    left = list(ranking.pairs)
    if _room(ranking, set(range(len(ranking.completions))), separate) <= most_tokens:
        return [ranking]
    pieces = []
    while left:
        inside = _piece(ranking, left, most_tokens, separate)
        taken = [pair for pair in left if pair.chosen in inside and pair.rejected in inside]
        left = [pair for pair in left if not (pair.chosen in inside and pair.rejected in inside)]
        at = {old: new for new, old in enumerate(sorted(inside))}
        pieces.append(
            Ranking(
                ranking.prompt,
                tuple(ranking.completions[old] for old in at),
                tuple(replace(pair, chosen=at[pair.chosen], rejected=at[pair.rejected]) for pair in taken),
            )
        )
    return pieces


def _room(ranking: Ranking, inside: set[int], separate: bool) -> int:
    """Positions that some of a ranking's completions take."""
    lengths = [len(ranking.completions[i]) for i in inside]
    if separate:
        return len(lengths) * (len(ranking.prompt) + max(lengths))
    return len(ranking.prompt) + sum(lengths)


def _piece(ranking: Ranking, left: Sequence[Comparison], most_tokens: int, separate: bool) -> set[int]:
    """Completions of one piece: those of the first pair, and of the others as many as fit."""
    inside = {left[0].chosen, left[0].rejected}
    while True:
        settles: dict[int, int] = {}
        for pair in left:
            outside = {pair.chosen, pair.rejected} - inside
            if len(outside) == 1:
                (new,) = outside
                if _room(ranking, inside | {new}, separate) <= most_tokens:
                    settles[new] = settles.get(new, 0) + 1
        if not settles:
            return inside
        inside.add(max(settles, key=lambda i: (settles[i], -i)))
