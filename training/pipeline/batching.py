"""The order in which rows are trained on: batches of rows of like length, the batches shuffled.

On a CPU a padded position costs as much as a real one, and `group_by_length` cannot be used with DPO. So
the rows are put in order once, and the trainer is told to read them as they come
(`train_sampling_strategy="sequential"`). Every epoch then has the same batches; that is the price.
"""

import random
from collections.abc import Sequence


def order_by_length(lengths: Sequence[int], *, batch: int, seed: int) -> list[int]:
    """Return the indices of the rows in the order to train on: the rows of a batch are of like length."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    # Equal lengths in random order: else neighbours in the file, of one prompt, would share a batch.
    indices = sorted(range(len(lengths)), key=lambda i: (lengths[i], dice.random()))
    # The batch that is not full holds the shortest rows and comes last, so that it shifts no other batch.
    rest = len(indices) % batch
    batches = [indices[start : start + batch] for start in range(rest, len(indices), batch)]
    dice.shuffle(batches)
    return [index for each in [*batches, indices[:rest]] for index in each]
