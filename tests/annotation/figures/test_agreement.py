"""Agreement, held to published libraries: krippendorff, statsmodels, scipy."""

from itertools import combinations

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import inter_rater

from annotation.figures import agreement
from annotation.figures.agreement import figures_of
from annotation.figures.panels import Judgments, panels_of, places_of
from annotation.figures.resampling import MIN_PROMPTS, Resampling
from annotation.rules.protocol import MAX_COMPLETIONS

# One judgment: (prompt, comparison, annotator, places as places_of gives them).
Row = tuple[int, int, int, list[int]]


def judgments(rows: list[Row]) -> Judgments:
    places = np.zeros((len(rows), MAX_COMPLETIONS), dtype=np.int8)
    for row, (*_, given_places) in zip(places, rows, strict=True):
        row[: len(given_places)] = given_places
    prompts, comparisons, annotators = (np.array([row[part] for row in rows], dtype=np.int64) for part in range(3))
    return Judgments(prompts, comparisons, annotators, places)


def measured(rows: list[Row], replicates: int = 20) -> dict[str, agreement.Figure]:
    given = judgments(rows)
    return {figure.key: figure for figure in figures_of(given, Resampling(given.prompts, replicates=replicates))}


def cohen(rows: list[Row]) -> float | None:
    """Of couples however little they share."""
    given = judgments(rows)
    value = agreement.cohen_kappa(panels_of(given), Resampling(given.prompts, replicates=2), min_shared=1)[0]
    return None if np.isnan(value) else value


def ranked(ranks: list[int]) -> list[int]:
    """Places of completions 0..K-1 with these ranks."""
    groups = [[item for item, rank in enumerate(ranks) if rank == place] for place in sorted(set(ranks))]
    return places_of(groups, range(len(ranks)))


@st.composite
def worlds(draw, k: int | None = None, judges: int | None = None) -> list[Row]:
    """3 to 12 comparisons, each judged by some of 5 annotators (or by so many), with ties."""
    rows = []
    for comparison in range(draw(st.integers(3, 12))):
        size = k or draw(st.integers(2, 5))
        who = draw(st.permutations(range(5)))[: judges or draw(st.integers(1, 5))]
        for annotator in who:
            ranks = draw(st.lists(st.integers(1, size), min_size=size, max_size=size))
            rows.append((comparison // 2, comparison, annotator, ranked(ranks)))
    return rows


def same(value: float | None, theirs: float) -> bool:
    """Where a library has no figure it says NaN, or one of numpy's warnings; we say None."""
    return value is None if np.isnan(theirs) else value == pytest.approx(theirs, abs=1e-9)


def meetings(rows: list[Row]):
    """Every two judgments of one comparison, the lower annotator's first."""
    ordered = sorted(rows, key=lambda row: row[2])
    return [(one, other) for one, other in combinations(ordered, 2) if one[1] == other[1]]


def categories(row: Row) -> list[int]:
    return [int(np.sign(second - first)) for first, second in combinations(row[3], 2)]


def test_places_are_mid_ranks():
    assert places_of([[7], [5, 9]], [5, 7, 9]) == [5, 2, 5]  # 2.5, 1, 2.5
    assert places_of([[1, 2, 3]], [1, 2, 3]) == [4, 4, 4]  # all on 2


def test_an_edit_takes_up_no_place():
    assert places_of([[99], [1], [2]], [1, 2]) == places_of([[1], [2]], [1, 2]) == [2, 4]


def test_a_ranking_that_leaves_one_out_has_no_places():
    assert places_of([[1]], [1, 2]) is None


@settings(max_examples=60, deadline=None)
@given(worlds(k=4))
def test_alpha_is_that_of_krippendorff_where_all_rankings_have_one_length(rows):
    _check_alpha(rows, lambda places: places / 2)


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_alpha_of_rankings_of_several_lengths_is_that_of_their_places_from_best_to_last(rows):
    _check_alpha(rows, lambda places: (places - 2) / (2 * len(places) - 2))


def _check_alpha(rows, values_of):
    units = sorted({(row[1], item) for row in rows for item in range(len(row[3]))})
    data = np.full((5, len(units)), np.nan)
    for _, comparison, annotator, places in rows:
        for item, value in enumerate(values_of(np.array(places))):
            data[annotator, units.index((comparison, item))] = value
    twice = data[:, (~np.isnan(data)).sum(axis=0) > 1]
    if twice.size == 0:
        assert measured(rows)["alpha"].value is None
    elif len(np.unique(twice[~np.isnan(twice)])) == 1:
        assert measured(rows)["alpha"].reason == agreement.NO_VARIATION
    else:
        theirs = krippendorff.alpha(reliability_data=twice, level_of_measurement="ordinal")
        assert same(measured(rows)["alpha"].value, theirs)


@settings(max_examples=60, deadline=None)
@given(worlds(judges=3))
def test_fleiss_kappa_of_three_raters_each_is_that_of_statsmodels(rows):
    items: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        for pair, category in enumerate(categories(row)):
            items.setdefault((row[1], pair), [0, 0, 0])[category + 1] += 1
    with np.errstate(invalid="ignore"):
        theirs = inter_rater.fleiss_kappa(np.array(list(items.values())))
    assert same(measured(rows)["fleiss"].value, theirs)


def test_fleiss_kappa_of_two_and_three_raters():
    # One pair judged +, + and another judged +, -, -. Agreement of the items: 1 and 1/3, mean 2/3. Shares of "+":
    # 1 and 1/3, mean 2/3; of "-": 1/3. Chance: 4/9 + 1/9 = 5/9. Kappa: (6/9 - 5/9) / (4/9) = 1/4.
    first, second = [2, 4], [4, 2]
    rows = [(1, 1, 1, first), (1, 1, 2, first), (2, 2, 1, first), (2, 2, 2, second), (2, 2, 3, second)]
    assert measured(rows)["fleiss"].value == pytest.approx(1 / 4)


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_cohen_kappa_of_two_annotators_is_that_of_statsmodels(rows):
    rows = [row for row in rows if row[2] < 2]
    table = np.zeros((3, 3))
    for one, other in meetings(rows):
        np.add.at(table, (np.add(categories(one), 1), np.add(categories(other), 1)), 1)
    if not table.any():
        return
    chance = (table.sum(axis=0) * table.sum(axis=1)).sum() / table.sum() ** 2
    theirs = inter_rater.cohens_kappa(table, return_results=False) if chance < 1 else np.nan
    assert same(cohen(rows), theirs)


def test_cohen_kappa_of_several_is_pooled_over_every_two():
    # Annotators 1 and 2 agree on both pairs (+, -): observed 1, chance 1/2. Annotators 1 and 3 on one of two, 3
    # always saying "+": observed 1/2, chance 1/2. Pooled: (3/4 - 1/2) / (1 - 1/2) = 1/2.
    first, second = [2, 4], [4, 2]
    rows = [(1, 1, 1, first), (1, 1, 2, first), (2, 2, 1, second), (2, 2, 2, second)]
    rows += [(3, 3, 1, first), (3, 3, 3, first), (4, 4, 1, second), (4, 4, 3, first)]
    assert cohen(rows) == pytest.approx(1 / 2)


def test_couples_who_share_little_are_left_out_of_cohens_kappa():
    rows = [(n, n, who, ranked([1, 2] if n % 2 else [2, 1])) for n in range(agreement.MIN_SHARED) for who in (1, 2)]
    assert measured(rows)["cohen"].value == pytest.approx(1)
    assert measured(rows[:-2])["cohen"].reason == agreement.FEW_SHARED
    once = [(100, 100, 1, ranked([1, 2])), (100, 100, 3, ranked([2, 1]))]
    assert measured(rows + once)["cohen"].value == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_tau_is_the_mean_of_scipys(rows):
    taus = [
        stats.kendalltau(one[3], other[3]).statistic
        for one, other in meetings(rows)
        if len(set(one[3])) > 1 and len(set(other[3])) > 1
    ]
    assert same(measured(rows)["tau"].value, np.mean(taus) if taus else np.nan)


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_the_share_counts_pairs_on_which_two_annotators_say_the_same(rows):
    equal = [a == b for one, other in meetings(rows) for a, b in zip(categories(one), categories(other), strict=True)]
    assert same(measured(rows)["share"].value, np.mean(equal) if equal else np.nan)


@settings(max_examples=20, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    assert {key: figure.value for key, figure in measured(rows).items()} == pytest.approx(
        {key: figure.value for key, figure in measured(shuffled).items()}
    )


def test_perfect_agreement_is_one_everywhere():
    rows = [(n, n, annotator, ranked([1, 2, 3] if n % 2 else [3, 2, 1])) for n in range(20) for annotator in (1, 2)]
    assert [figure.value for figure in measured(rows).values()] == pytest.approx([1.0] * 5)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], agreement.NO_JUDGMENT),
        ([(1, 1, 1, [2, 4]), (2, 2, 1, [2, 4])], agreement.ONE_ANNOTATOR),
        ([(1, 1, 1, [2, 4]), (2, 2, 2, [2, 4])], agreement.NO_OVERLAP),
        ([(1, 1, 1, [3, 3]), (1, 1, 2, [3, 3])], agreement.NO_VARIATION),
    ],
)
def test_where_alpha_is_not_defined_it_says_why(rows, reason):
    figure = measured(rows)["alpha"]
    assert (figure.value, figure.low, figure.high, figure.reason) == (None, None, None, reason)


def test_tau_is_not_defined_where_everything_is_tied():
    assert measured([(1, 1, 1, [3, 3]), (1, 1, 2, [2, 4])])["tau"].reason == agreement.ALL_TIED


def test_a_few_prompts_have_a_figure_and_no_interval():
    rows = [(n, n, annotator, ranked([1, 2])) for n in range(MIN_PROMPTS - 1) for annotator in (1, 2)]
    figure = measured(rows)["share"]
    assert (figure.value, figure.low, figure.reason) == (1, None, agreement.FEW_PROMPTS)


def test_the_interval_is_over_prompts_and_not_over_judgments():
    """The same answers in a tenth of the prompts are a tenth of the evidence."""
    rng = np.random.default_rng(5)
    rows = [(n, n, who, ranked(list(rng.permutation(2)))) for n in range(200) for who in (1, 2)]
    fine, coarse = measured(rows, 400)["share"], measured([(row[0] // 10, *row[1:]) for row in rows], 400)["share"]
    assert fine.value == coarse.value
    # 200 draws of a coin: 1.96 * sqrt(0.25 / 200) = 0.07 either side.
    assert fine.high - fine.low == pytest.approx(0.14, abs=0.03)
    together = [
        (row[0] // 10, row[1], row[2], ranked([1, 2] if row[2] == 1 or row[0] // 10 % 2 else [2, 1])) for row in rows
    ]
    clustered = measured(together, 400)["share"]
    # All ten comparisons of a prompt go the same way: as 20 draws, sqrt(10) times as wide.
    assert clustered.high - clustered.low == pytest.approx(0.44, abs=0.1)


def test_the_interval_is_seeded():
    rows = [(n, n, who, ranked([1, 2] if n % 3 else [2, who])) for n in range(30) for who in (1, 2)]
    assert measured(rows) == measured(rows)


def test_more_prompts_than_bundles_have_the_same_interval(monkeypatch):
    rng = np.random.default_rng(5)
    rows = [(n, n, who, ranked(list(rng.permutation(2)))) for n in range(2000) for who in (1, 2)]
    exact = measured(rows, 500)["share"]
    monkeypatch.setattr("annotation.figures.resampling.MAX_BUNDLES", 400)
    bundled = measured(rows, 500)["share"]
    assert bundled.value == pytest.approx(exact.value)
    assert bundled.high - bundled.low == pytest.approx(exact.high - exact.low, rel=0.2)


def test_panels_hold_what_several_judged():
    rows = [(1, 1, 2, [2, 4]), (1, 1, 1, [4, 2]), (2, 2, 1, [2, 4]), (3, 3, 1, [2, 4, 6]), (3, 3, 2, [6, 4, 2])]
    small, large = panels_of(judgments(rows))
    assert (small.k, small.judges, small.annotators.tolist(), small.places.tolist()) == (
        2,
        2,
        [[1, 2]],
        [[[4, 2], [2, 4]]],
    )
    assert (large.k, large.prompts.tolist()) == (3, [3])


def test_the_intervals_hold_the_truth_about_as_often_as_they_say():
    """Of 150 worlds whose annotators agree beyond chance by 0.36, by far most intervals hold 0.36."""
    rng = np.random.default_rng(11)
    held = {"fleiss": 0, "cohen": 0, "share": 0}
    # Each says what is true in 6 of 10 cases and tosses a coin else: the same in 0.36 + 0.64 / 2 of all.
    truth = {"fleiss": 0.36, "cohen": 0.36, "share": 0.68}
    for _ in range(150):
        true = rng.integers(2, size=60)
        said = np.where(rng.random((2, 60)) < 0.6, true, rng.integers(2, size=(2, 60)))
        rows = [(n, n, who, [2, 4] if said[who, n] else [4, 2]) for n in range(60) for who in (0, 1)]
        figures = measured(rows, 400)
        for key in held:
            held[key] += figures[key].low <= truth[key] <= figures[key].high
    # 95 % of 150 is 142; three standard deviations of a binomial below that are 134.
    assert min(held.values()) >= 134
