"""Bradley-Terry ratings, against known strengths and pencil work."""

import numpy as np
import pytest

from training.pipeline.ratings import POINTS, fit, ratings_of


def row(new, other, verdict, prompt_id="p0", judge="simulated"):
    return {"name_new": new, "name_opponent": other, "verdict": verdict, "prompt_id": prompt_id, "judge": judge}


def rated(rows, *, anchor="base", judge="simulated", resamples=100):
    return ratings_of(rows, judge=judge, anchor=anchor, resamples=resamples, seed=1)


def by_name(ratings):
    return {each.name: each.rating for each in ratings}


def drawn(strengths, *, prompts, seed=1):
    """A duel of every two versions on each prompt, drawn from the model."""
    dice = np.random.default_rng(seed)
    names = list(strengths)
    rows = []
    for prompt in range(prompts):
        for i, new in enumerate(names):
            for other in names[:i]:
                chance = 1 / (1 + 10 ** ((strengths[other] - strengths[new]) / 400))
                rows.append(row(new, other, float(dice.random() < chance), f"p{prompt}"))
    return rows


def test_known_strengths_are_recovered():
    strengths = {"base": 0.0, "r1": 60.0, "r2": 150.0, "r3": 120.0}
    ratings = rated(drawn(strengths, prompts=3000))
    assert [each.name for each in ratings] == ["r2", "r3", "r1", "base"]
    for each in ratings:
        assert each.rating == pytest.approx(strengths[each.name], abs=15)
        assert each.low - 1e-9 <= each.rating <= each.high + 1e-9


def test_the_intervals_hold_the_truth_and_the_anchors_is_none():
    ratings = rated(drawn({"base": 0.0, "r1": 100.0, "r2": 200.0}, prompts=200), resamples=300)
    assert [(each.low < each.rating < each.high) for each in ratings] == [True, True, False]
    r2, r1, base = ratings
    assert (base.rating, base.low, base.high) == (0.0, 0.0, 0.0)
    assert r1.low < 100 < r1.high
    assert r2.low < 200 < r2.high


def test_by_hand_three_of_four_is_worth_the_logarithm_of_three():
    # 3 to 1, and half an imagined win each: odds of 3.5 to 1.5.
    wins = np.array([[0.0, 1.0], [3.0, 0.0]])
    assert fit(wins, 0) == pytest.approx([0.0, np.log(3.5 / 1.5)], abs=1e-4)


def test_four_hundred_points_are_odds_of_ten_to_one():
    assert np.log(10) * POINTS == pytest.approx(400)


def test_a_version_that_always_wins_has_a_finite_rating():
    rows = [row("r1", "base", 1.0, f"p{i}") for i in range(20)] + [row("r2", "r1", 1.0, f"p{i}") for i in range(20)]
    ratings = rated(rows)
    assert [each.name for each in ratings] == ["r2", "r1", "base"]
    assert np.isfinite([[each.rating, each.low, each.high] for each in ratings]).all()
    # r1 is held between both: it beat the base as often as it lost. r2 is at most twice as far as 20.5 to 0.5 says.
    assert by_name(ratings)["r2"] < 2 * POINTS * np.log(20.5 / 0.5)


@pytest.mark.parametrize("verdict", [0.0, 0.5, 1.0])
def test_what_is_unanimous_is_not_certain(verdict):
    rows = [row(new, other, verdict, f"p{i}") for new, other in (("r1", "base"), ("r2", "r1")) for i in range(20)]
    for each in rated(rows, resamples=300):
        if each.name != "base":
            assert each.low + 10 < each.rating < each.high - 10


def test_more_prompts_make_a_rating_more_certain():
    def width(prompts):
        ratings = rated(drawn({"base": 0.0, "r1": 100.0, "r2": 200.0}, prompts=prompts), resamples=300)
        return ratings[0].high - ratings[0].low

    assert width(400) < 0.7 * width(100)


def test_two_versions_have_no_ratings():
    assert rated([row("r1", "base", 1.0)]) is None
    assert rated([]) is None


def test_what_is_old_in_one_round_and_new_in_another_is_one_version():
    rows = [row("r1", "base", 1.0), row("r2", "r1", 1.0), row("r2", "base", 1.0)]
    assert set(by_name(rated(rows))) == {"base", "r1", "r2"}


def test_other_judges_rows_and_rows_without_names_do_not_count():
    rows = [row("r1", "base", 1.0), row("r2", "base", 1.0)]
    others = [row("r3", "base", 0.0, judge="reward_model"), {"prompt_id": "p0", "verdict": 0.0, "judge": "simulated"}]
    assert rated(rows + others) == rated(rows)


def test_a_prompt_counts_once_however_many_completions_it_has():
    once = [row("r1", "base", 1.0), row("r2", "base", 0.0), row("r1", "base", 0.0, "p1")]
    again = [row("r1", "base", 1.0)] * 5 + once[1:]
    assert by_name(rated(again)) == pytest.approx(by_name(rated(once)))


def test_versions_that_only_tie_are_alike():
    rows = [row("r1", "base", 0.5), row("r2", "base", 0.5), row("r2", "r1", 0.5)]
    assert by_name(rated(rows)) == pytest.approx({"base": 0.0, "r1": 0.0, "r2": 0.0}, abs=1e-3)


def test_an_anchor_that_nobody_met_leaves_a_scale_all_the_same():
    rows = [row("r1", "r0", 1.0), row("r2", "r0", 1.0)]
    assert by_name(rated(rows, anchor="somebody"))["r0"] == 0.0
