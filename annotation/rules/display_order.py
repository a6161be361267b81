"""In which order an assignment shows the completions: balanced over positions, and not to be foreseen. Pure.

Two balances at once, both exact:

- over the slots of one comparison, every completion stands at every position equally often: slot n shows the n-th row
  of a Latin square;
- over the comparisons, so does every symbol, that is, the completion of the first policy, of the second ...: within a
  block of ``ROUNDS`` x K comparisons with neighbouring ids, each row of the square comes first ``ROUNDS`` times.

Squares and rows are drawn by a keyed hash. So the same slot always shows the same order, whoever gets it and however
often; two annotators at once need not know of each other; and nobody without the secret can tell the next order. (Who
knew which policy wrote what in all other comparisons of a block could work out the last: so a block is larger than K.)
"""

import hashlib
import hmac
from collections.abc import Sequence
from random import Random

ROUNDS = 8  # how often each row comes in a block of comparisons


def display_order(
    completions: Sequence[tuple[int, int | None]], *, comparison: int, turn: int, secret: bytes
) -> list[int]:
    """The completion ids, first to last, for the ``turn``-th assignment (0, 1, 2 ...) of this comparison.

    ``completions`` are (id, id of the policy or None). Balanced over each run of K turns, and for one turn over each
    block of comparisons.
    """
    # Numbered by policy, so that in every comparison of the same policies the same number means the same policy.
    ids = [pk for pk, _ in sorted(completions, key=lambda each: (each[1] is None, each[1] or 0, each[0]))]
    k = len(ids)
    block, place_in_block = divmod(comparison, ROUNDS * k)
    first_rows = [row for row in range(k) for _ in range(ROUNDS)]
    _random(secret, "rows", k, block).shuffle(first_rows)
    square, later = divmod(turn, k)
    row = (first_rows[place_in_block] + later) % k
    return [ids[symbol] for symbol in _latin_square(_random(secret, "square", k, block, square), k)[row]]


def _latin_square(random: Random, k: int) -> list[list[int]]:
    """k rows of k symbols, each symbol once in every row and in every column: a cyclic square, all of it shuffled."""
    rows, columns, symbols = (random.sample(range(k), k) for _ in range(3))
    return [[symbols[(row + column) % k] for column in columns] for row in rows]


def _random(secret: bytes, *names: object) -> Random:
    digest = hmac.digest(secret, ":".join(map(str, names)).encode(), hashlib.sha256)
    return Random(int.from_bytes(digest))  # noqa: S311 - its seed is the secret's; what comes out is one short shuffle
