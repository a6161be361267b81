"""Which pairs are trained on, and what is said of the others."""

import dataclasses

import pytest

from sampling.engine.run_dir import RunDirError
from tests.training.pipeline.runs import pair, write_lines
from training.pipeline.preferences import read_pairs, refuse_too_few, select, select_held_out
from training.recipe import load

RECIPE = load("smoke").dpo


def letters(conversations):
    """A stand-in for the tokenizer: one token a letter of the completion."""
    return [len(conversation[-1]["content"]) for conversation in conversations]


def pairs_of(tmp_path, *rows):
    return read_pairs(write_lines(tmp_path / "pairs.jsonl", list(rows)))


def recipe(**changes):
    return dataclasses.replace(RECIPE, **changes)


def test_a_pair_is_read_with_its_prompt_and_both_sides(tmp_path):
    (read,) = pairs_of(tmp_path, pair(3, strength="significantly_better", votes=2, votes_against=1))
    assert (read.prompt_id, read.chosen, read.rejected) == ("3", "yes yes yes", "no no no")
    assert (read.margin, read.agreement) == (1.0, 1)
    assert read.conversations[1][-1] == {"role": "assistant", "content": "no no no"}


def test_the_strongest_pairs_of_a_prompt_are_kept_and_the_others_counted(tmp_path):
    pairs = pairs_of(
        tmp_path,
        pair(1, chosen="a", strength="slightly_better"),
        pair(1, chosen="b", strength="significantly_better"),
        pair(1, chosen="c", strength="better"),
        pair(2, chosen="d", strength="negligibly_better"),
    )
    selection = select(pairs, recipe(max_pairs_per_prompt=2), letters)
    assert [each.chosen for each in selection.pairs] == ["b", "c", "d"]
    assert selection.dropped == {"more_than_max_pairs_per_prompt": 1}


def test_among_pairs_of_one_strength_the_more_agreed_on_comes_first(tmp_path):
    pairs = pairs_of(
        tmp_path, pair(1, chosen="a", votes=2, votes_against=1), pair(1, chosen="b", votes=3, votes_against=0)
    )
    assert [each.chosen for each in select(pairs, recipe(max_pairs_per_prompt=1), letters).pairs] == ["b"]


def test_unusable_pairs_are_dropped_and_counted_by_reason(tmp_path):
    pairs = pairs_of(
        tmp_path,
        pair(1, rejected=" \n"),
        pair(2, chosen="same ", rejected="same"),
        pair(3, chosen="x" * 50),
        pair(4, rejected="x" * 50),
        pair(5, strength="negligibly_better"),
        pair(6),
    )
    selection = select(pairs, recipe(max_length=49, least_strength="slightly_better"), letters)
    assert [each.prompt_id for each in selection.pairs] == ["6"]
    assert selection.lengths == [11]
    assert selection.dropped == {"empty": 1, "identical": 1, "too_long": 2, "weaker_than_least_strength": 1}


def test_a_pair_that_just_fits_is_kept(tmp_path):
    pairs = pairs_of(tmp_path, pair(1, chosen="x" * 49))
    assert len(select(pairs, recipe(max_length=49), letters).pairs) == 1


def test_held_out_pairs_are_measured_on_however_weak_and_many_they_are(tmp_path):
    pairs = pairs_of(tmp_path, *[pair(1, chosen=f"a{i}", strength="negligibly_better") for i in range(6)])
    assert len(select_held_out(pairs, recipe(least_strength="better"), letters).pairs) == 6


def test_too_few_pairs_are_refused_with_the_count_the_reasons_and_the_remedy():
    with pytest.raises(RunDirError) as caught:
        refuse_too_few(12, 16, what="pairs", stage="DPO", dropped={"too_long": 3}, path="june.jsonl")
    assert str(caught.value) == (
        "june.jsonl has 12 usable pairs (3 too long left out); DPO needs at least 16. Collect more judgments, "
        "choose another snapshot, or lower least_rows in the recipe."
    )


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": []},
        pair(1) | {"chosen": []},
        pair(1) | {"chosen": "text"},
        pair(1) | {"margin": "much"},
    ],
)
def test_a_row_that_is_not_a_pair_is_refused_by_its_line(tmp_path, row):
    with pytest.raises(RunDirError, match="line 2 is not a preference pair"):
        pairs_of(tmp_path, pair(0), row)


def test_a_line_that_is_not_json_is_refused_by_its_number(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n{broken\n")
    with pytest.raises(RunDirError, match="line 2 is not valid JSON"):
        read_pairs(path)


def test_a_file_that_is_not_there_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(RunDirError, match="does not exist"):
        read_pairs(tmp_path / "none.jsonl")


def tie(number, one, other, **changes):
    return pair(number, chosen=one, rejected=other, tie=True, strength="negligibly_better", margin=0.0, **changes)


def test_a_tie_is_left_out_unless_the_recipe_asks_for_it(tmp_path):
    pairs = pairs_of(tmp_path, pair(1), tie(2, "a", "b"))
    selection = select(pairs, recipe(), letters)
    assert ([each.prompt_id for each in selection.pairs], selection.dropped) == (["1"], {"tie": 1})


def test_a_tie_that_is_asked_for_is_both_orders_of_the_pair(tmp_path):
    pairs = pairs_of(tmp_path, tie(2, "a", "bcd", chosen_finish_reason="length", rejected_finish_reason="stop"))
    one, other = (selection := select(pairs, recipe(ties=True), letters)).pairs
    assert [(each.chosen, each.rejected) for each in (one, other)] == [("a", "bcd"), ("bcd", "a")]
    assert (one.chosen_cut_off, one.rejected_cut_off) == (True, False)
    assert (other.chosen_cut_off, other.rejected_cut_off) == (False, True)
    assert selection.lengths == [3, 3]


def test_a_tie_has_no_strength_that_could_be_too_weak(tmp_path):
    pairs = pairs_of(tmp_path, tie(1, "a", "b"), pair(2, strength="slightly_better"))
    selection = select(pairs, recipe(ties=True, least_strength="better"), letters)
    assert [each.tie for each in selection.pairs] == [True, True]
    assert selection.dropped == {"weaker_than_least_strength": 1}


def test_ties_come_after_the_weakest_preference_and_never_with_one_order_alone(tmp_path):
    rows = [tie(1, "a", "b"), pair(1, chosen="c", strength="negligibly_better"), tie(1, "d", "e")]
    pairs = pairs_of(tmp_path, *rows)
    kept = select(pairs, recipe(ties=True, max_pairs_per_prompt=2), letters)
    # Two of the three: the preference, and the first tie in both its orders.
    assert [(each.chosen, each.rejected) for each in kept.pairs] == [("a", "b"), ("b", "a"), ("c", "no no no")]
    assert kept.dropped == {"more_than_max_pairs_per_prompt": 1}


def test_no_tie_is_measured_on(tmp_path):
    selection = select_held_out(pairs_of(tmp_path, tie(1, "a", "b"), pair(2)), recipe(), letters)
    assert (len(selection.pairs), selection.dropped) == (1, {"tie": 1})


def test_it_is_measured_on_the_snapshots_that_are_learned_from(tmp_path):
    pairs = pairs_of(tmp_path, pair(1, latest=False), pair(2))
    latest = select_held_out(pairs, recipe(snapshots="latest"), letters)
    assert ([each.prompt_id for each in latest.pairs], latest.dropped) == (["2"], {"earlier_snapshot": 1})
    assert len(select_held_out(pairs, recipe(snapshots="all"), letters).pairs) == 2


def test_a_reward_model_has_no_use_for_a_tie(tmp_path):
    selection = select(pairs_of(tmp_path, tie(1, "a", "b")), load("smoke").reward_model, letters)
    assert selection.dropped == {"tie": 1}


def test_pairs_of_earlier_snapshots_count_when_the_recipe_asks_for_all(tmp_path):
    pairs = pairs_of(tmp_path, pair(1, latest=False), pair(2, latest=True), pair(3))
    latest = select(pairs, recipe(), letters)
    assert ([each.prompt_id for each in latest.pairs], latest.dropped) == (["2", "3"], {"earlier_snapshot": 1})
    assert len(select(pairs, recipe(snapshots="all"), letters).pairs) == 3


def test_every_pair_that_is_left_out_is_named_with_its_reason(tmp_path):
    rows = [pair(1, rejected=" "), pair(2, chosen="x" * 50), pair(3), pair(3, chosen="more")]
    selection = select(pairs_of(tmp_path, *rows), recipe(max_length=49, max_pairs_per_prompt=1), letters)
    empty, long, surplus = selection.left_out
    assert (empty.reason, empty.prompt_id, empty.line, empty.tokens) == ("empty", "1", 1, None)
    assert (long.reason, long.line, long.tokens, long.limit) == ("too_long", 2, 50, 49)
    assert (surplus.reason, surplus.line) == ("more_than_max_pairs_per_prompt", 4)
    assert surplus.excerpt == "Question 3? | more | no no no"
    assert len(selection.pairs) + len(selection.left_out) == len(rows)
