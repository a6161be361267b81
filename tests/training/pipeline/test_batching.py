"""The order in which rows are trained on."""

from training.pipeline.batching import order_by_length

LENGTHS = [5, 90, 7, 88, 6, 91, 40, 41, 8, 39]


def batches_of(order: list[int], size: int) -> list[list[int]]:
    return [order[i : i + size] for i in range(0, len(order), size)]


def test_every_row_is_trained_on_once():
    assert sorted(order_by_length(LENGTHS, batch=3, seed=1)) == list(range(10))


def test_the_rows_of_a_batch_are_of_like_length():
    batches = batches_of(order_by_length(LENGTHS, batch=3, seed=1), 3)
    # Ten rows in threes: the shortest (5) is left over, then 6-7-8, 39-40-41 and 88-90-91.
    spans = sorted(max(LENGTHS[i] for i in batch) - min(LENGTHS[i] for i in batch) for batch in batches)
    assert spans == [0, 2, 2, 3]


def test_the_batch_that_is_not_full_comes_last():
    assert order_by_length(LENGTHS, batch=3, seed=1)[-1] == 0


def test_the_batches_are_shuffled_by_the_seed():
    lengths = list(range(64))
    orders = {tuple(order_by_length(lengths, batch=4, seed=seed)) for seed in (1, 1, 2, 3)}
    assert len(orders) == 3
    assert tuple(range(64)) not in orders


def test_rows_of_the_same_length_do_not_stay_beside_their_neighbours_in_the_file():
    order = order_by_length([7] * 64, batch=4, seed=1)
    assert sorted(order[:4]) != [0, 1, 2, 3]


def test_fewer_rows_than_a_batch_are_one_batch():
    assert sorted(order_by_length([3, 2], batch=8, seed=1)) == [0, 1]
    assert order_by_length([], batch=8, seed=1) == []
