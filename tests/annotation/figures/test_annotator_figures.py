"""Annotators' figures, their intervals, and when they deserve a warning."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from annotation.figures import intervals
from annotation.figures.annotator_figures import Answers, Estimate, KnownAnswers, figures_by_annotator
from annotation.figures.panels import Judgments, places_of
from annotation.figures.resampling import Resampling
from annotation.quality.annotator_warnings import MIN_ROWS, warnings_of
from annotation.rules.protocol import MAX_COMPLETIONS

MONDAY = date(2026, 1, 5).toordinal()
NO_GOLD = KnownAnswers(*np.empty((4, 0), dtype=np.int64))


def nine(values) -> list:
    return [*values, *[0] * (MAX_COMPLETIONS - len(values))]


class World:
    """Judgments that a test writes down one by one."""

    def __init__(self):
        self.rows = []

    def judge(self, annotator, comparison, ranking, *, order=(1, 2), lengths=(100, 100), seconds=30.0, day=MONDAY):
        by_id, displayed = places_of(ranking, sorted(order)), places_of(ranking, order)
        self.rows.append((comparison, annotator, nine(by_id), nine(displayed), nine(lengths), seconds, day))

    def figures(self, *, gold=NO_GOLD, submitted=None, skipped=None):
        comparisons, annotators, places, displayed, lengths, seconds, days = map(np.array, zip(*self.rows, strict=True))
        rows = Judgments(comparisons, comparisons, annotators, places.astype(np.int8))
        answers = Answers(rows, displayed.astype(np.int8), lengths, seconds, days)
        resampling = Resampling(comparisons, replicates=200)
        counts = {"submitted": submitted or {}, "skipped": skipped or {}}
        return {
            each.annotator: each for each in figures_by_annotator(answers, resampling, gold=gold, **counts)
        }  # fmt: skip


def crowd(annotators=(1, 2, 3), comparisons=60, **more) -> World:
    """They agree on nine in ten, prefer either side and either length as often, and take half a minute."""
    world = World()
    for comparison in range(comparisons):
        better, worse = (1, 2) if comparison % 2 else (2, 1)
        order = (1, 2) if comparison % 4 < 2 else (2, 1)
        lengths = (100, 200) if comparison % 8 < 4 else (200, 100)
        for annotator in annotators:
            differs = (comparison + annotator) % 10 == 0
            ranking = [[worse], [better]] if differs else [[better], [worse]]
            world.judge(annotator, comparison, ranking, order=order, lengths=lengths, **more)
    return world


def keys(figures, **more) -> list[str]:
    return [concern.key for concern in warnings_of(figures, gold_threshold=0.8, **more)]


@settings(deadline=None)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_is_that_of_statsmodels_and_of_scipy(counts):
    count, n = counts
    low, high = intervals.wilson(np.array([count / n]), np.array([float(n)]))
    assert (low[0], high[0]) == pytest.approx(proportion_confint(count, n, method="wilson"), abs=1e-9)
    theirs = stats.binomtest(count, n).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 1), st.floats(0, 1))
def test_the_interval_of_a_difference_is_newcombes(n, m, first, second):
    counts = round(first * n), round(second * m)
    one, other = (
        intervals.plain_shares(np.array([c * 1.0]), np.array([k * 1.0])) for c, k in zip(counts, (n, m), strict=True)
    )
    low, high = intervals.difference(one, other)
    theirs = confint_proportions_2indep(counts[0], n, counts[1], m, method="newcomb", compare="diff")
    assert (low[0], high[0]) == pytest.approx(theirs, abs=1e-9)


def test_the_medians_interval_holds_it_in_95_of_100():
    rng = np.random.default_rng(3)
    for n in (10, 25, 100):
        found = [intervals.median(rng.exponential(size=n)) for _ in range(2000)]
        covered = np.mean([low <= np.log(2) <= high for _, low, high in found])
        assert 0.945 <= covered <= 0.99
    assert intervals.median(np.arange(5.0)) is None


def test_rows_of_one_cluster_count_as_often_as_they_differ():
    # Ten clusters of ten, each of one mind: worth ten rows. A hundred clusters of one: worth a hundred.
    part = np.repeat([1.0, 0.0], 50)
    groups, whole = np.zeros(100, int), np.ones(100)
    alike = intervals.clustered_shares(part, whole, groups, np.arange(100) // 10, 1)
    apart = intervals.clustered_shares(part, whole, groups, np.arange(100), 1)
    assert (alike.value[0], apart.value[0]) == (0.5, 0.5)
    assert alike.weight[0] == pytest.approx(9)  # one less, for the mean was estimated too
    assert apart.weight[0] == pytest.approx(99)


def test_where_all_clusters_say_the_same_the_interval_is_of_their_number():
    shares = intervals.clustered_shares(np.ones(30), np.ones(30), np.zeros(30, int), np.arange(30) // 3, 1)
    assert shares.low[0] == pytest.approx(proportion_confint(10, 10, method="wilson")[0])


def test_the_others_are_everybody_else():
    shares = intervals.plain_shares(np.array([1.0, 2.0, 9.0]), np.array([10.0, 10.0, 10.0]))
    assert intervals.of_most_others(shares).value == pytest.approx([2 / 10, 1 / 10, 3 / 20])


def test_an_outlier_is_no_measure_for_those_who_do_as_most_do():
    # Five prefer the longer one in 10 of 40, the sixth always: the mean of all is 38 %, most others say 25 %.
    shares = intervals.plain_shares(np.array([10.0] * 5 + [40.0]), np.full(6, 40.0))
    others = intervals.of_most_others(shares)
    assert others.value == pytest.approx([0.25] * 6)
    low, high = intervals.difference(shares, others)
    assert (low[:5] < 0).all()
    assert (high[:5] > 0).all()
    assert low[5] > 0.5


def test_of_two_who_do_the_opposite_each_is_held_against_the_other():
    shares = intervals.plain_shares(np.array([0.0, 30.0]), np.array([40.0, 30.0]))
    assert intervals.of_most_others(shares).value == pytest.approx([1, 0])


def test_one_who_always_takes_the_longer_one_makes_nobody_lean_to_the_shorter():
    world = World()
    for comparison in range(60):
        longer, shorter = (1, 2) if comparison % 2 else (2, 1)
        lengths = (200, 100) if longer == 1 else (100, 200)
        order = (1, 2) if comparison % 4 < 2 else (2, 1)
        for annotator in (1, 2, 3):
            likes_longer = (comparison + annotator) % 5 == 0
            ranking = [[longer], [shorter]] if likes_longer else [[shorter], [longer]]
            world.judge(annotator, comparison, ranking, order=order, lengths=lengths)
        world.judge(4, comparison, [[longer], [shorter]], order=order, lengths=lengths)
    figures = world.figures()
    assert [annotator for annotator in figures if "length" in keys(figures[annotator])] == [4]
    assert figures[4].longer.expected == pytest.approx(0.2)


def test_a_lone_annotator_has_no_others():
    figures = crowd(annotators=(1,)).figures()[1]
    assert (figures.ties.expected, figures.ties.gap_low, figures.agreement) == (None, None, None)


def test_careful_annotators_are_warned_of_nothing():
    for figures in crowd().figures(submitted={1: 60, 2: 60, 3: 60}).values():
        assert keys(figures) == []
        assert (figures.judgments, figures.seconds.value, figures.pairwise) == (60, 30, True)
        assert figures.first.value == pytest.approx(0.5, abs=0.1)
        assert figures.agreement.value == pytest.approx(0.8, abs=0.02)


def test_agreement_is_with_the_others_and_held_against_theirs():
    world = crowd(annotators=(1, 2, 3))
    for comparison in range(60):
        world.judge(4, comparison, [[1], [2]], order=(1, 2) if comparison % 4 < 2 else (2, 1))
    figures = world.figures()
    assert figures[4].agreement.value == pytest.approx(0.5, abs=0.05)
    assert figures[4].agreement.expected == pytest.approx(0.8, abs=0.02)
    assert keys(figures[4]) == ["disagrees"]
    assert keys(figures[1]) == []


def test_who_reads_the_order_the_wrong_way_round_is_told_so():
    world = crowd(annotators=(1, 2, 3))
    for comparison in range(60):
        world.judge(4, comparison, [[2], [1]] if comparison % 2 else [[1], [2]])
    assert keys(world.figures()[4]) == ["opposite"]


def test_who_clicks_without_reading_is_too_fast():
    # 200 characters are some 33 words: in 2 seconds 1,000 words a minute, in 30 seconds 67.
    fast = crowd(annotators=(1, 2, 3), seconds=1.0).figures()[1]
    assert fast.pace.value == pytest.approx(300 / 6 * 60)
    assert keys(fast) == ["too_fast"]
    assert keys(fast, is_person=False) == []


def test_times_that_were_not_measured_are_no_times():
    figures = crowd(seconds=float("nan")).figures()[1]
    assert (figures.seconds, figures.pace, sum(figures.times)) == (None, None, 0)


def test_times_are_counted_between_their_bounds():
    world = World()
    for comparison, seconds in enumerate([4.9, 5, 19, 1000]):
        world.judge(1, comparison, [[1], [2]], seconds=seconds)
    assert list(world.figures()[1].times) == [1, 1, 1, 0, 0, 0, 0, 1]


def test_always_left_is_seen_whatever_the_ids():
    world = World()
    for comparison in range(40):
        order = (1, 2) if comparison % 2 else (2, 1)
        world.judge(1, comparison, [[order[0]], [order[1]]], order=order)
    figures = world.figures()[1]
    assert (figures.first.value, figures.first.expected, list(figures.positions)) == (1, 0.5, [1, 0])
    (concern,) = warnings_of(figures, gold_threshold=0.8)
    assert concern.words.startswith("Prefers the left side: the left one is on top in 100 % (91 to 100 %), where 50 %")


def test_always_right_is_seen_too():
    world = World()
    for comparison in range(40):
        world.judge(1, comparison, [[2], [1]], order=(1, 2))
    assert keys(world.figures()[1]) == ["position"]


def test_a_tie_at_the_top_is_shared_and_calling_all_equal_puts_none_on_top():
    world = World()
    world.judge(1, 1, [[1, 2], [3]], order=(1, 2, 3), lengths=(9, 9, 9))
    world.judge(1, 2, [[1, 2, 3]], order=(1, 2, 3), lengths=(9, 9, 9))
    first = world.figures()[1].first
    assert (first.value, first.expected, first.rows) == (0.5, pytest.approx(1 / 3), 1)


def test_who_calls_everything_equal_is_held_against_the_others():
    world = crowd(annotators=(1, 2, 3))
    for comparison in range(60):
        world.judge(4, comparison, [[1, 2]])
    figures = world.figures()
    assert (figures[4].ties.value, figures[4].ties.expected) == (1, 0)
    assert "ties" in keys(figures[4])
    assert keys(figures[1]) == []


def test_ties_are_counted_by_pairs():
    world = World()
    world.judge(1, 1, [[1, 2], [3]], order=(1, 2, 3), lengths=(9, 9, 9))
    assert world.figures()[1].ties.value == pytest.approx(1 / 3)


def test_who_always_takes_the_longer_one_is_held_against_the_others():
    world = crowd(annotators=(1, 2, 3))
    for comparison in range(60):
        world.judge(
            4,
            comparison,
            [[2], [1]] if comparison % 2 else [[1], [2]],
            lengths=(50, 99) if comparison % 2 else (99, 50),
        )
    figures = world.figures()
    assert figures[4].longer.value == 1
    assert "length" in keys(figures[4])
    assert figures[4].longer.expected == pytest.approx(0.5, abs=0.05)


def test_lengths_that_hardly_differ_tell_nothing():
    world = World()
    world.judge(1, 1, [[1], [2]], lengths=(100, 109))
    assert world.figures()[1].longer is None


def test_who_skips_much_more_than_the_others_is_told_so():
    figures = crowd().figures(submitted={1: 60, 2: 60, 3: 60}, skipped={1: 40})
    assert figures[1].skips.value == 0.4
    assert keys(figures[1]) == ["skips"]


def test_who_only_skipped_is_in_the_figures_too():
    figures = crowd().figures(submitted={1: 60, 2: 60, 3: 60}, skipped={9: 30})[9]
    assert (figures.judgments, figures.skips.value, figures.first) == (0, 1, None)
    assert keys(figures) == ["skips"]


def test_known_answers_below_the_threshold():
    right = np.array([1] * 20 + [0] * 10)
    gold = KnownAnswers(np.ones(30, int), np.arange(30), right, np.ones(30, int))
    figures = crowd().figures(gold=gold)[1]
    assert figures.gold.value == pytest.approx(2 / 3)
    assert keys(figures) == []  # 49 to 81 %: it may be 80
    assert keys(replace(figures, gold=Estimate(0.5, 0.4, 0.6, 60))) == ["gold"]


def test_a_few_judgments_are_no_habit():
    figures = replace(crowd().figures()[1], first=Estimate(1, 0.68, 1, MIN_ROWS - 1, 0.5, 0.18, 0.5))
    assert keys(figures) == []
    assert keys(replace(figures, first=replace(figures.first, rows=MIN_ROWS))) == ["position"]


def test_a_clear_case_is_told_after_a_few_judgments():
    world = crowd(comparisons=30)
    for comparison in range(9):
        order = (1, 2) if comparison % 2 else (2, 1)
        world.judge(5, comparison, [[order[0]], [order[1]]], order=order, seconds=1)
    found = keys(world.figures()[5])
    assert "position" in found
    assert "too_fast" in found


def test_judgments_are_counted_by_day():
    world = World()
    for comparison, day in enumerate([MONDAY, MONDAY, MONDAY + 2]):
        world.judge(1, comparison, [[1], [2]], day=day)
    assert world.figures()[1].by_day == {"2026-01-05": 2, "2026-01-07": 1}
