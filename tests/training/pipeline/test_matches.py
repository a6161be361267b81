"""A match's figures, against pencil work."""

import pytest

from training.pipeline.completions import Completion, Prompt
from training.pipeline.matches import match_of, win_rate
from training.pipeline.meetings import Meeting, Opinion, meet


def completion(prompt_id, index=0, tokens=1, text="text"):
    return Completion(prompt_id, index, text, tokens, "stop")


def meeting(prompt_id, index=0, *, opponent="old", tokens=(1, 1)):
    prompt = Prompt(prompt_id, [{"role": "user", "content": "Why?"}])
    new, other = (completion(prompt_id, index, each) for each in tokens)
    return Meeting(prompt, opponent, new, other)


def opinion(meetings, verdicts, **more):
    return Opinion("simulated", "independent", meetings, verdicts, **more)


def test_a_prompt_counts_once_however_many_completions_it_has():
    # Prompt a: three wins; prompt b: one loss. (1 + 0) / 2, not 3 / 4.
    meetings = [meeting("a", 0), meeting("a", 1), meeting("a", 2), meeting("b", 0)]
    assert win_rate(opinion(meetings, [1.0, 1.0, 1.0, 0.0])).value == 0.5


def test_two_prompts_won_are_no_certainty():
    # Wilson, two of two: the lower end is 1 / (1 + 3.84146 / 2) = 0.342372.
    interval = win_rate(opinion([meeting("a"), meeting("b")], [1.0, 1.0]))
    assert (interval.value, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(0.342372, abs=1e-5)


def test_four_wins_among_many_ties_are_no_certainty_with_and_without_control_of_lengths():
    meetings = [meeting(str(i), tokens=(10 + i % 3, 10)) for i in range(100)]
    match = match_of(opinion(meetings, [1.0] * 4 + [0.5] * 96), "old", name="x", resamples=200, seed=1)
    assert match.low < 0.5 < match.win_rate == 0.52
    assert match.length_controlled_low < 0.5


def test_repeating_the_verdicts_of_each_prompt_narrows_nothing():
    once, ten_times = (
        win_rate(opinion([meeting(str(i), n) for i in range(50) for n in range(count)], verdicts))
        for count, verdicts in ((1, [1.0] * 30 + [0.0] * 20), (10, [1.0] * 300 + [0.0] * 200))
    )
    assert once == ten_times


def test_why_a_judge_is_not_believed_stands_beside_its_figures():
    for independence, is_independent in (("independent", True), ("selected", False), ("takes_part", False)):
        judged = Opinion("model", independence, [meeting("a")], [1.0])
        match = match_of(judged, "old", name="x", resamples=100, seed=1)
        assert (match.independence, match.independent) == (independence, is_independent)


def test_opponents_are_counted_apart():
    meetings = [meeting("a"), meeting("b"), meeting("a", opponent="base"), meeting("b", opponent="base")]
    judged = opinion(meetings, [1.0, 0.5, 0.0, 0.0], unread=[False, True, False, False])
    old = match_of(judged, "old", name="r1-dpo", resamples=100, seed=1)
    base = match_of(judged, "base", name="first", resamples=100, seed=1)
    assert (old.name, old.win_rate, old.wins, old.ties, old.losses, old.unparsable) == ("r1-dpo", 0.75, 1, 1, 0, 1)
    assert (base.name, base.win_rate, base.wins, base.ties, base.losses, base.unparsable) == ("first", 0.0, 0, 0, 2, 0)


def test_who_was_not_met_has_no_match():
    assert match_of(opinion([meeting("a")], [1.0]), "base", name="first", resamples=100, seed=1) is None


def test_the_mean_lengths_stand_beside_the_rate():
    meetings = [meeting("a", tokens=(10, 4)), meeting("b", tokens=(20, 8))]
    match = match_of(opinion(meetings, [1.0, 0.0]), "old", name="x", resamples=100, seed=1)
    assert (match.mean_tokens_new, match.mean_tokens_opponent) == (15, 6)


def test_where_all_is_won_controlling_for_length_makes_nothing_more_certain():
    meetings = [meeting(str(i), tokens=(10 + i, 10)) for i in range(6)]
    match = match_of(opinion(meetings, [1.0] * 6), "old", name="x", resamples=100, seed=1)
    assert match.length_controlled_low <= match.low == pytest.approx(0.609664, abs=1e-5)
    assert match.length_controlled_high == 1.0


def test_only_completions_of_one_prompt_and_index_meet():
    prompts = [Prompt("a", []), Prompt("b", [])]
    new = [completion("a", 0), completion("a", 1), completion("b", 0)]
    others = [completion("a", 1), completion("b", 0), completion("b", 1)]
    met = meet(prompts, "old", new, others)
    assert [(each.prompt.id, each.new.index) for each in met] == [("a", 1), ("b", 0)]


def test_texts_that_differ_in_white_space_alone_are_alike():
    prompt = Prompt("a", [])
    assert Meeting(prompt, "old", completion("a", text="Yes. "), completion("a", text="Yes.\n")).is_alike
    assert not Meeting(prompt, "old", completion("a", text="Yes."), completion("a", text="No.")).is_alike
