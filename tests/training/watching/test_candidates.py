"""What rejection sampling chose from."""

from tests.training.watching import written
from training.watching import candidates


def chosen():
    return candidates.chosen_from(written.candidate_rows(), written.kept_rows())


def test_scores_of_what_was_kept_lie_on_the_same_axis_as_all():
    everything, kept = candidates.charts_of(chosen())
    assert [bar.words.split(":")[0] for bar in everything.bars] == [bar.words.split(":")[0] for bar in kept.bars]
    # Twelve scores, -1.5, -1 ... 4, are two in each bar one wide: 2 / 12. Those kept are -1, 0.5, 2, and 5 of an
    # earlier round, one in four each.
    assert {bar.words for bar in everything.bars} == {*(f"{up_to}: 16.67" for up_to in range(-1, 5)), "5: 0"}
    assert {bar.words for bar in kept.bars if not bar.words.endswith(": 0")} == {"-1: 25", "1: 25", "2: 25", "5: 25"}
    assert (everything.unit, kept.unit) == ("% of 12", "% of 4")


def test_the_mean_length_is_of_the_same_prompts_and_the_cut_off_ones_are_counted():
    assert candidates.facts_of(chosen()) == [
        ("mean length", "20.0 tokens kept, 20.0 all candidates of these prompts"),
        ("cut off at the limit", "33% of all candidates"),
    ]


def test_what_was_kept_stands_beside_the_worst_of_its_prompt():
    first, *_, last = chosen().choices
    assert first.prompt == written.PROMPTS[0]
    assert (first.kept.text, first.kept.score, first.kept.tokens) == ("Jam <u>0</u>, 1.", -1.0, 20)
    assert (first.worst.text.strip(), first.worst.score, first.worst.is_cut_off) == ("Jam <u>0</u>, 0.", -1.5, False)
    assert last.is_of_earlier_round
    assert (last.kept.text, last.kept.tokens, last.worst.score) == ("Of an earlier round.", None, 3.0)


def test_only_so_many_prompts_are_held_however_many_there_are():
    many = candidates.SHOWN + 5
    rows = [row | {"prompt_id": str(number)} for number in range(many) for row in written.candidate_rows()[:3]]
    kept = [written.kept_rows()[0] | {"prompt_id": str(number)} for number in range(many)]
    found = candidates.chosen_from(rows, kept)
    assert (len(found.choices), len(found.scores), len(found.tokens_kept)) == (candidates.SHOWN, 3 * many, many)


def test_a_stage_that_left_no_files_shows_nothing():
    found = candidates.chosen_from([], [])
    assert (candidates.charts_of(found), candidates.facts_of(found), found.choices) == ([], [], [])


def test_all_scores_alike_are_drawn_too():
    rows = [row | {"score": 1.0} for row in written.candidate_rows()]
    kept = [row | {"score": 1.0} for row in written.kept_rows()]
    everything, _ = candidates.charts_of(candidates.chosen_from(rows, kept))
    assert [bar.words for bar in everything.bars if not bar.words.endswith(": 0")] == ["1: 100"]
