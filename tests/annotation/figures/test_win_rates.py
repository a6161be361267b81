"""Win rates between writers: what is counted, how it is oriented, and both intervals."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from annotation.figures.panels import Judgments, places_of
from annotation.figures.resampling import MIN_PROMPTS, Resampling
from annotation.figures.win_rates import MAX_WRITERS, UNKNOWN, win_rates
from annotation.rules.protocol import MAX_COMPLETIONS


def rates(rows, names, **more):
    """``rows``: (prompt, writers of the completions 0 ... by code, ranking of these)."""
    places = np.zeros((len(rows), MAX_COMPLETIONS), dtype=np.int8)
    writers = np.full((len(rows), MAX_COMPLETIONS), UNKNOWN)
    for place, writer, (_, codes, ranking) in zip(places, writers, rows, strict=True):
        place[: len(codes)] = places_of(ranking, range(len(codes)))
        writer[: len(codes)] = codes
    prompts = np.array([prompt for prompt, *_ in rows], dtype=np.int64)
    some = np.arange(len(rows))
    return win_rates(Judgments(prompts, some, some, places), writers, names, Resampling(prompts, **more))


FIRST, TIE, SECOND = [[0], [1]], [[0, 1]], [[1], [0]]


def test_wins_ties_and_losses_are_those_of_the_stronger_one():
    """small wins 1, ties 1, loses 3: large has (3 + 1/2) / 5 = 0.7."""
    rows = [(n, [0, 1], ranking) for n, ranking in enumerate([FIRST, TIE, SECOND, SECOND, SECOND])]
    found = rates(rows, ["small", "large"])
    assert found.writers == ["large", "small"]
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.wins, pair.ties, pair.losses, pair.prompts) == (0, 1, 3, 1, 1, 5)
    assert pair.value == pytest.approx(0.7)
    assert (pair.low, pair.high) == (None, None)  # five prompts are too few


def test_which_side_a_writer_stood_on_does_not_matter():
    rows = [(1, [0, 1], FIRST), (2, [1, 0], SECOND)]
    (pair,) = rates(rows, ["a", "b"]).pairs
    assert (pair.wins, pair.losses) == (2, 0)


def test_wilsons_interval_is_that_of_statsmodels():
    rows = [(n, [0, 1], FIRST if n < 37 else SECOND) for n in range(60)]
    (pair,) = rates(rows, ["a", "b"]).pairs
    low, high = proportion_confint(37, 60, method="wilson")
    assert (pair.wilson_low, pair.wilson_high) == pytest.approx((low, high), abs=1e-9)


def test_judgments_of_one_prompt_hang_together():
    """Twenty prompts, each judged ten times alike: as wide as 20 answers' interval, not as 200 answers'."""
    rows = [(n, [0, 1], FIRST if n < 12 else SECOND) for n in range(20) for _ in range(10)]
    (pair,) = rates(rows, ["a", "b"]).pairs
    alone = rates([(n, [0, 1], FIRST if n < 12 else SECOND) for n in range(20)], ["a", "b"]).pairs[0]
    assert pair.value == pytest.approx(0.6)
    assert pair.prompts == 20
    assert (pair.low, pair.high) == pytest.approx((alone.low, alone.high))
    assert pair.high - pair.low > 2 * (pair.wilson_high - pair.wilson_low)


def test_a_ranking_of_several_gives_every_pair_of_different_writers():
    """a > b1 = b2 > c, where b wrote two: a beats b twice and c once, b beats c twice."""
    found = rates([(n, [0, 1, 1, 2], [[0], [1, 2], [3]]) for n in range(MIN_PROMPTS)], ["a", "b", "c"])
    assert found.writers == ["a", "b", "c"]
    assert [(pair.first, pair.second, pair.wins) for pair in found.pairs] == [(0, 1, 20), (0, 2, 10), (1, 2, 20)]
    assert all(pair.low == pair.value == 1 for pair in found.pairs)


def test_what_one_writer_wrote_twice_or_nobody_knows_who_says_nothing():
    found = rates([(1, [0, 0], FIRST), (2, [0, UNKNOWN], FIRST)], ["a"])
    assert (found.writers, found.pairs, found.left_out) == ([], [], 0)


def test_of_many_writers_those_that_met_most_often_stay():
    rows = [(n, [0, 1 + n % 30], FIRST) for n in range(300)] + [(n, [1, 2], TIE) for n in range(5)]
    found = rates(rows, [f"writer {n}" for n in range(31)], replicates=20)
    assert len(found.writers) == MAX_WRITERS
    assert found.left_out == 31 - MAX_WRITERS
    assert {"writer 0", "writer 1", "writer 2"} <= set(found.writers)


def test_without_a_judgment_there_is_nothing():
    empty = np.zeros(0, dtype=np.int64)
    places = np.zeros((0, MAX_COMPLETIONS), dtype=np.int8)
    found = win_rates(Judgments(empty, empty, empty, places), places.astype(int), [], Resampling(empty))
    assert (found.writers, found.pairs) == ([], [])
