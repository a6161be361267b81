"""Published preferences as our rows. No sentence of the sets is kept here."""

from pathlib import Path

import pytest

from tests.bench import reward_model
from tests.bench.preference_sets import (
    SETS,
    SetAbsent,
    some,
    split,
    strength_of_points,
    strength_of_votes,
)
from tests.tiny_models import save_tiny_policy
from training.pipeline.preferences import STRENGTHS, read_pairs

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module", params=SETS)
def preferences(request):
    try:
        return SETS[request.param](DATA)
    except SetAbsent as absent:
        pytest.skip(str(absent))


# Pairs of which one side was preferred, and the others. Counted from the files by other means: UKP's gold is a1 4,976
# and a2 4,951 times, equal 2,464 and null 639; of PandaLM's 999 at least two of three annotators say 0 in 85 + 13 + 7;
# Tulu's 332 prompts were answered by three couples of models, of which 316 came out even.
COUNTS = {"ukp-convarg": (9_927, 3_103), "pandalm-testset": (894, 105), "tulu1-human-eval": (3 * 332 - 316, 316)}


def test_every_pair_is_a_row_or_a_tie(preferences):
    assert (len(preferences.rows), preferences.ties) == COUNTS[preferences.name]


def test_no_prompt_is_in_both_splits(preferences):
    train, held_out = split(preferences.rows, held_out_share=0.3, seed=17)
    assert len(train) + len(held_out) == len(preferences.rows)
    assert 0.3 <= len(held_out) / len(preferences.rows) < 0.45
    for what in ("group", "prompt_id"):
        assert not {row[what] for row in train} & {row[what] for row in held_out}
    asked = [{row["prompt"][0]["content"].lower() for row in rows} for rows in (train, held_out)]
    assert not asked[0] & asked[1]


def test_rows_are_those_of_the_export(preferences, tmp_path):
    pairs = read_pairs(reward_model.write_rows(tmp_path / "pairs.jsonl", preferences.rows))
    assert len(pairs) == len(preferences.rows)
    assert {pair.strength for pair in pairs} <= set(STRENGTHS)
    assert len({pair.strength for pair in pairs}) >= 2
    assert not any(pair.tie for pair in pairs)
    assert all(isinstance(text, str) for pair in pairs for text in (pair.chosen, pair.rejected))


def test_either_side_of_a_pair_is_as_often_the_better_one_as_the_raw_answers_say(preferences):
    """A conversion that mixed the sides up would show here: the longer one wins in all three sets."""
    longer = sum(len(row["chosen"][0]["content"]) > len(row["rejected"][0]["content"]) for row in preferences.rows)
    assert longer / len(preferences.rows) > 0.52


def test_strengths_are_how_many_agree():
    found = [strength_of_votes(votes, 5) for votes in (5, 4, 3, 2)]
    assert found == ["significantly_better", "better", "slightly_better", "negligibly_better"]
    assert [strength_of_votes(votes, 3) for votes in (3, 2)] == ["significantly_better", "slightly_better"]


def test_points_go_to_the_nearest_level_and_half_way_to_the_weaker_one():
    assert [strength_of_points(points) for points in (2, 1.5, 1, 0.5, 1 / 3)] == [
        "better", "slightly_better", "slightly_better", "negligibly_better", "negligibly_better",
    ]  # fmt: skip


def test_the_same_seed_draws_the_same_rows_in_their_order():
    rows = [{"group": str(i)} for i in range(100)]
    assert some(rows, 10, seed=1) == some(rows, 10, seed=1) != some(rows, 10, seed=2)
    drawn = [int(row["group"]) for row in some(rows, 10, seed=1)]
    assert drawn == sorted(drawn)
    assert some(rows[:3], 10, seed=1) == rows[:3]


def test_a_set_that_is_absent_is_named_by_its_path(tmp_path):
    with pytest.raises(SetAbsent, match=r"arguments\.jsonl is absent"):
        SETS["ukp-convarg"](tmp_path)


def test_a_few_rows_of_each_set_go_through_a_tiny_reward_model(preferences, tmp_path, monkeypatch):
    """As the bench does it, in this process."""
    from training.pipeline import reward_model as program

    monkeypatch.setattr(
        reward_model,
        "train_and_measure",
        lambda run_dir: reward_model.as_json(program.run(run_dir)),
    )
    options = reward_model.arguments(
        ["--data", str(DATA), "--train", "6", "--held-out", "6", "--max-length", "2048", "--learning-rate", "1e-2"]
    )
    policy = save_tiny_policy(tmp_path / "policy", max_position_embeddings=2048)
    row = reward_model.run_set(preferences.name, options, policy=policy, place=tmp_path)
    assert 0 < row["pairs_train"] <= 6
    assert 0.0 <= row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"] <= 1.0
    assert row["length_baseline"]["accuracy"] is not None
    assert preferences.name in reward_model.show(row)
    assert "left out: " in reward_model.show_details(row)
    assert sum(each["pairs"] for each in row["by_strength"]) == row["pairs_eval"]
