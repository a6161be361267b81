"""Comparisons that become gold, qualification or training items, and work again."""

import uuid

import pytest

from annotation import actions
from annotation.actions import known_answers, review
from annotation.models import AssignmentState, Comparison, Judgment, ProjectChange, Purpose, Slot
from annotation.review.known_answer_views import _rows
from annotation.rules.letters import fixed_letters, in_letters
from annotation.rules.ranking import RankingError
from tests.annotation.judged import judge, known, make_comparison, make_project

pytestmark = pytest.mark.django_db


def ids(comparison):
    return list(comparison.completions.order_by("index").values_list("pk", flat=True))


def make_gold(comparison, by, **more):
    ranking = [[pk] for pk in ids(comparison)]
    return known_answers.set_known_answer(
        comparison=comparison, **{"purpose": Purpose.GOLD, "ranking": ranking, **more}, by=by
    )


def test_gold_leaves_the_queue(project, comparison, alice, bob):
    make_gold(comparison, alice)
    assert Slot.objects.count() == 0
    assert actions.claim_next(project=project, annotator=bob) is None


def test_who_holds_it_as_work_is_told_and_nothing_is_kept_for_data(held, alice, bob):
    make_gold(held.comparison, alice)
    answer = actions.Answer(ranking=[[pk] for pk in held.display_order], strengths=["better"] * 3)
    with pytest.raises(actions.LeaseLost):
        actions.submit_judgment(assignment=held, annotator=bob, answer=answer, request_key=uuid.uuid4())
    assert Judgment.objects.count() == 0


def test_judgments_given_as_work_stay_but_are_no_data(alice):
    comparison = make_comparison(make_project(), ["One.", "Two."])
    judge(comparison, "bob", [[0], [1]])
    make_gold(comparison, alice)
    assert Judgment.objects.count() == 1
    assert Judgment.objects.of_work().count() == 0


def test_work_again_waits_for_the_judgments_that_it_had_not_got(project, comparison, alice, bob):
    review.ask_for_judgments(comparison=comparison, wanted=2, by=alice)
    judge_as_work = actions.claim_next(project=project, annotator=bob)
    answer = actions.Answer(ranking=[[pk] for pk in judge_as_work.display_order], strengths=["better"] * 3)
    actions.submit_judgment(assignment=judge_as_work, annotator=bob, answer=answer, request_key=uuid.uuid4())
    make_gold(comparison, alice)
    known_answers.turn_back_to_work(comparison=comparison, by=alice)
    assert list(comparison.slots.order_by("number").values_list("is_filled", flat=True)) == [True, False]
    assert Judgment.objects.of_work().count() == 1
    assert actions.claim_next(project=project, annotator=bob) is None  # who judged it does not get it again
    assert actions.claim_next(project=project, annotator=alice) is not None


def test_what_was_judged_as_gold_is_no_data_when_that_becomes_work_again(alice):
    comparison = known(make_comparison(make_project(), ["One.", "Two."]))
    judge(comparison, "bob", [[0], [1]])
    known_answers.turn_back_to_work(comparison=comparison, by=alice)
    assert Judgment.objects.of_work().count() == 0
    assert comparison.slots.filter(is_filled=False).count() == 1


def test_work_that_was_withdrawn_meanwhile_gets_no_slots(comparison, alice):
    make_gold(comparison, alice)
    review.withdraw(comparison=comparison, reason="broken", by=alice)
    known_answers.turn_back_to_work(comparison=comparison, by=alice)
    assert Slot.objects.count() == 0


def test_turning_back_twice_is_once_and_the_answer_stays_as_a_proposal(comparison, alice):
    make_gold(comparison, alice)
    for _ in range(2):
        known_answers.turn_back_to_work(comparison=comparison, by=alice)
    comparison.refresh_from_db()
    assert comparison.known_ranking == [[pk] for pk in ids(comparison)]
    assert ProjectChange.objects.filter(what="known answer").count() == 2


def test_what_is_handed_out_for_one_purpose_is_taken_back_when_it_gets_another(project, comparison, alice, bob):
    make_gold(comparison, alice, purpose=Purpose.TRAINING)
    training = actions.claim_next(project=project, annotator=bob)
    assert training.purpose == Purpose.TRAINING
    make_gold(comparison, alice, explanation="Because.")
    training.refresh_from_db()
    assert training.state == AssignmentState.EXPIRED


def test_a_change_of_the_answer_alone_takes_nothing_from_anybody(project, comparison, alice, bob):
    make_gold(comparison, alice, purpose=Purpose.TRAINING)
    training = actions.claim_next(project=project, annotator=bob)
    make_gold(comparison, alice, purpose=Purpose.TRAINING, explanation="Because.")
    training.refresh_from_db()
    assert training.state == AssignmentState.HELD


def test_the_record_says_who_made_it_and_what_was_known(comparison, alice):
    make_gold(comparison, alice, explanation="Paris is the capital.")
    change = ProjectChange.objects.get(what="known answer")
    letters = fixed_letters(comparison.content_key, ids(comparison))
    assert (change.who, change.before) == (alice, "work")
    assert change.after == {
        "purpose": "gold",
        "known answer": in_letters([[pk] for pk in ids(comparison)], letters),
        "explanation": "Paris is the capital.",
    }


def test_saving_the_same_again_is_not_on_record(comparison, alice):
    make_gold(comparison, alice)
    make_gold(comparison, alice)
    assert ProjectChange.objects.filter(what="known answer").count() == 1


def test_a_known_answer_places_every_completion_and_nothing_else(comparison, alice):
    with pytest.raises(RankingError, match="no place yet"):
        make_gold(comparison, alice, ranking=[ids(comparison)[:2]])
    with pytest.raises(RankingError, match="not shown"):
        make_gold(comparison, alice, ranking=[[*ids(comparison), 0]])
    assert Comparison.objects.get().purpose == Purpose.WORK


def test_a_withdrawn_comparison_gets_no_known_answer(comparison, alice):
    review.withdraw(comparison=comparison, reason="broken", by=alice)
    with pytest.raises(review.ReviewRefused, match="Restore it"):
        make_gold(comparison, alice)


def test_a_known_answer_that_most_annotators_get_wrong_is_doubtful():
    comparison = known(make_comparison(make_project(), ["One.", "Two."]))
    for name in ("a", "b"):
        judge(comparison, name, [[1], [0]])
    (row,) = _rows([comparison])
    assert (row.answers, row.percent_right, row.against, row.is_doubtful) == (2, 0, 2, False)  # two are too few to say
    judge(comparison, "c", [[0], [1]])
    (row,) = _rows([comparison])
    assert (row.answers, row.percent_right, row.is_doubtful) == (3, 33, True)


def test_letters_do_not_follow_the_ids():
    orders = {tuple(fixed_letters(f"key {n}", [1, 2, 3])) for n in range(50)}
    assert len(orders) == 6
    assert fixed_letters("key", [3, 1, 2]) == fixed_letters("key", [1, 2, 3])
