"""How a blind test stands, counted by hand. Its interval is the pipeline's own (test_win_intervals)."""

import pytest
from django.utils import timezone

from annotation.models import JudgeKind
from sampling.models import Completion, Origin
from tests.annotation.judged import make_user
from tests.training.evaluation.evaluated import make_evaluated, make_prompts, said
from training.evaluation.blind_tests import open_blind_test
from training.evaluation.standings import standing, verdict, wanted_and_given
from training.pipeline.win_intervals import win_interval


@pytest.fixture
def test(evaluated):
    """Five comparisons to judge, and a sixth prompt that both answered alike."""
    alice = make_user("alice", is_staff=True)
    return open_blind_test(round=evaluated, opponent=evaluated.base_policy, created_by=alice)


def test_before_anybody_judged_there_is_no_rate(test):
    stands = standing(test)
    assert (stands.wins, stands.ties, stands.losses, stands.alike, stands.undecided) == (0, 1, 0, 1, 5)
    assert (stands.win_rate, stands.low, stands.high) == (None, None, None)
    assert stands.prompts == 6
    assert wanted_and_given(test) == {"wanted": 5, "given": 0}


def test_wins_ties_and_losses_are_counted_by_prompt_and_what_is_alike_is_a_tie(test):
    for number, preferred in enumerate(["new", "new", "new", "old", "tie"]):
        said(test, number, "bob", preferred)
    stands = standing(test)
    assert (stands.wins, stands.ties, stands.losses, stands.undecided) == (3, 2, 1, 0)
    # (1 + 1 + 1 + 0 + 0.5 + 0.5) / 6
    assert stands.win_rate == pytest.approx(4 / 6)
    assert (stands.low, stands.high) == win_interval([1, 1, 1, 0, 0.5, 0.5])
    assert stands.low < 0.5 < stands.win_rate < stands.high
    assert wanted_and_given(test) == {"wanted": 5, "given": 5}


def test_what_several_say_of_one_prompt_is_averaged(test):
    for username, preferred in (("bob", "new"), ("charlie", "new"), ("dora", "old")):
        said(test, 0, username, preferred)
    stands = standing(test)
    # Two of three: a win, of 2/3. Alike is one of six, and one of five was judged: a fifth of a tie rounds to none.
    assert (stands.wins, stands.undecided, stands.win_rate) == (1, 4, pytest.approx(2 / 3))


def test_two_who_disagree_are_a_tie(test):
    said(test, 0, "bob", "new")
    said(test, 0, "charlie", "old")
    assert (standing(test).ties, standing(test).wins) == (2, 0)


def test_a_decision_stands_for_what_annotators_said(test):
    said(test, 0, "bob", "old")
    said(test, 0, "charlie", "old")
    said(test, 0, "rita", "new", is_decision=True)
    assert (standing(test).wins, standing(test).losses) == (1, 0)


def test_only_people_count(test):
    said(test, 0, "sim-brief", "new", kind=JudgeKind.SIMULATED)
    said(test, 1, "model", "new", kind=JudgeKind.MODEL)
    assert standing(test).undecided == 5
    # Nor is anybody else's judgment one of those that people are to give, or have given.
    assert wanted_and_given(test) == {"wanted": 3, "given": 0}
    said(test, 2, "bob", "new")
    assert wanted_and_given(test) == {"wanted": 3, "given": 1}


def test_a_correction_replaces_what_it_corrects(test):
    first = said(test, 0, "bob", "new")
    said(test, 0, "bob", "old", supersedes=first)
    assert (standing(test).wins, standing(test).losses) == (0, 1)


def test_what_was_withdrawn_counts_neither_as_judged_nor_as_alike(test):
    said(test, 0, "bob", "new")
    test.project.comparisons.filter(pk=test.project.comparisons.order_by("pk")[0].pk).update(
        withdrawn_at=timezone.now()
    )
    stands = standing(test)
    assert (stands.wins, stands.alike, stands.undecided) == (0, 1, 4)


def test_while_prompts_are_undecided_those_alike_weigh_no_more_than_their_share(tmp_path, snapshot):
    prompts = make_prompts(8)
    new = {prompt: "Alike." if n >= 4 else f"new {n}" for n, prompt in enumerate(prompts)}
    old = {prompt: "Alike." if n >= 4 else f"old {n}" for n, prompt in enumerate(prompts)}
    round = make_evaluated(tmp_path, snapshot, {"new": new, "old": old})
    test = open_blind_test(round=round, opponent=round.base_policy, created_by=None)
    said(test, 0, "bob", "new")
    said(test, 1, "bob", "new")
    # Two of four that differ are judged, so two of the four that are alike count: (1 + 1 + 0.5 + 0.5) / 4.
    assert standing(test).win_rate == 0.75
    for number in (2, 3):
        said(test, number, "bob", "new")
    assert standing(test).win_rate == 0.75  # (4 * 1 + 4 * 0.5) / 8


def test_where_all_are_alike_it_is_a_draw_and_nobody_is_asked(tmp_path, snapshot, prompts):
    same = dict.fromkeys(prompts, "The same.")
    round = make_evaluated(tmp_path, snapshot, {"new": same, "old": same})
    stands = standing(open_blind_test(round=round, opponent=round.base_policy, created_by=None))
    assert (stands.win_rate, stands.ties, stands.undecided) == (0.5, 6, 0)


def test_an_answer_that_an_annotator_wrote_says_nothing_of_either():
    assert verdict([[9], [1], [2]], new=frozenset({1}), old=frozenset({2})) == 1.0
    assert verdict([[2], [9], [1]], new=frozenset({1}), old=frozenset({2})) == 0.0
    assert verdict([[9], [1, 2]], new=frozenset({1}), old=frozenset({2})) == 0.5


def test_an_edited_completion_does_not_disturb_the_count(test):
    judgment = said(test, 0, "bob", "new")
    original = judgment.comparison.completions.first()
    edit = Completion.objects.create(
        origin=Origin.PERSON, edit_of=original, written_by=judgment.annotator, text="Better.", prompt=original.prompt,
        finish_reason="stop",
    )  # fmt: skip
    judgment.ranking = [[edit.pk], *judgment.ranking]
    judgment.save()
    assert standing(test).wins == 1
