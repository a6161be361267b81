"""The list that leads reviewers to a comparison, and what its page shows."""

import uuid

import pytest

from annotation import actions
from annotation.actions import review
from annotation.models import Assignment, Flag, Purpose
from annotation.review import listing as review_list
from annotation.review.listing import Filters
from annotation.review.page import review_of
from tests.annotation.judged import judge, known, make_comparison, make_project, make_user

pytestmark = pytest.mark.django_db

JAM = ["Fruit and sugar.", "A traffic jam."]


def submit(assignment, annotator, order=None):
    order = order or assignment.display_order
    answer = actions.Answer(ranking=[[pk] for pk in order], strengths=["better"] * (len(order) - 1))
    return actions.submit_judgment(assignment=assignment, annotator=annotator, answer=answer, request_key=uuid.uuid4())


@pytest.fixture
def judged():
    """Three comparisons in this order: all agree, two of three agree, one against one."""
    project = make_project()
    agreed, little, much = (make_comparison(project, JAM, question=f"What is {what}?") for what in ("1", "2", "3"))
    for comparison, rankings in {agreed: "aa", little: "aab", much: "ab"}.items():
        for number, way in enumerate(rankings):
            judge(comparison, f"annotator-{number}", [[0], [1]] if way == "a" else [[1], [0]])
    return project, agreed, little, much


def listed(project, **asked):
    filters = Filters(**asked)
    return review_list.in_order(review_list.matching(project, filters), filters.order, 1)[0]


def test_by_disagreement_the_worst_comes_first(judged):
    project, agreed, little, much = judged
    found = review_list.window(review_list.matching(project, Filters()), "person").found
    assert [(pk, share.percent) for pk, share in found] == [(much.pk, 100), (little.pk, 67), (agreed.pk, 0)]


def test_people_are_not_compared_with_simulated_annotators_unless_asked(judged):
    _, agreed, _, _ = judged
    judge(agreed, "sim", [[1], [0]], kind="simulated")
    assert review_list.disagreements([agreed.pk], "person")[agreed.pk].differing == 0
    assert review_list.disagreements([agreed.pk], "")[agreed.pk].differing == 2


def test_only_the_newest_revision_and_no_decision_is_compared(judged):
    *_, much = judged
    wrong = much.judgments.order_by("-pk").first()
    judge(much, wrong.annotator.username, [[0], [1]], supersedes=wrong)
    judge(much, "reviewer", [[1], [0]], is_decision=True)
    assert review_list.disagreements([much.pk], "person")[much.pk].differing == 0


def test_an_older_window_goes_on_where_the_newer_one_ended(judged, monkeypatch):
    project, _, little, much = judged
    monkeypatch.setattr(review_list, "WINDOW", 2)
    chosen = review_list.matching(project, Filters())
    newest = review_list.window(chosen, "person")
    assert [pk for pk, _ in newest.found] == [much.pk]  # both of its judgments are the newest two
    older = review_list.window(chosen, "person", newest.older)
    assert [pk for pk, _ in older.found] == [little.pk]


def test_the_next_disagreement_walks_from_the_worst_to_the_last(judged):
    project, _, little, much = judged
    assert review_list.next_disagreement(project, "person") == much.pk
    assert review_list.next_disagreement(project, "person", after=much.pk) == little.pk
    assert review_list.next_disagreement(project, "person", after=little.pk) is None


def test_the_next_disagreement_leaves_out_what_is_decided_and_goes_on_behind_it(judged):
    project, _, little, much = judged
    judge(much, "reviewer", [[0], [1]], is_decision=True)
    assert review_list.next_disagreement(project, "person") == little.pk
    assert review_list.next_disagreement(project, "person", after=much.pk) == little.pk


def test_the_walk_reaches_older_windows(judged, monkeypatch):
    project, _, little, much = judged
    monkeypatch.setattr(review_list, "WINDOW", 2)
    assert review_list.next_disagreement(project, "person", after=much.pk) == little.pk
    assert review_list.next_disagreement(project, "person", after=little.pk) is None


def test_after_one_that_nobody_judged_the_walk_begins_anew(judged):
    project, *_, much = judged
    other = make_comparison(project, JAM)
    assert review_list.next_disagreement(project, "person", after=other.pk) == much.pk


def test_each_state_finds_its_comparisons(write, alice, bob):
    project = actions.create_project(name="Capitals", created_by=alice)
    actions.open_comparisons(project=project, completions=write(prompts=4), k=4)
    waiting, judged, skipped, withdrawn = project.comparisons.order_by("pk")
    for comparison in (judged, skipped):
        assignment = Assignment.objects.create(
            comparison=comparison, annotator=bob, slot=comparison.slots.get(),
            display_order=list(comparison.completions.values_list("pk", flat=True)), leased_until="2026-01-01T00:00Z",
        )  # fmt: skip
        if comparison == judged:
            submit(assignment, bob)
        else:
            actions.skip(assignment=assignment, annotator=bob, reason="")
    submit(review.open_review(comparison=judged, reviewer=alice), alice)
    review.withdraw(comparison=withdrawn, reason="broken", by=alice)
    Flag.objects.create(comparison=waiting, raised_by=bob, note="Look.")
    assert listed(project, state="open") == [skipped.pk, waiting.pk]
    assert listed(project, state="complete") == [judged.pk]
    assert listed(project, state="decided") == [judged.pk]
    assert listed(project, state="skipped") == [skipped.pk]
    assert listed(project, state="flagged") == [waiting.pk]
    assert listed(project, state="withdrawn") == [withdrawn.pk]
    assert listed(project) == [withdrawn.pk, skipped.pk, judged.pk, waiting.pk]


def test_the_list_is_narrowed_by_words_purpose_and_group_and_ordered_by_priority(judged):
    project, agreed, little, much = judged
    project.comparisons.filter(pk=agreed.pk).update(priority=5, group="chemists")
    assert listed(project, order="priority") == [agreed.pk, much.pk, little.pk]
    assert listed(project, group="chemists") == [agreed.pk]
    assert listed(project, text="WHAT IS 2") == [little.pk]
    assert listed(project, purpose=Purpose.GOLD) == []


def test_a_row_counts_what_there_is(judged):
    _, _, little, _ = judged
    judge(little, "reviewer", [[1], [0]], is_decision=True)
    Flag.objects.create(comparison=little, raised_by=make_user("bob"), note="Look.")
    (row,) = review_list.rows([little.pk], "person")
    assert (row.judgments, row.decisions, row.flags, row.skips, row.disagreement.percent) == (3, 1, 1, 0, 67)


# One comparison


def test_letters_are_the_same_for_all_and_an_edit_stands_beside_its_own(judged):
    _, agreed, _, _ = judged
    judge(agreed, "editor", [[2], [0], [1]], edit="Fruit, sugar and heat.")
    seen = review_of(agreed)
    letters = {each.letter: each for each in seen.completions}
    assert set(letters) == {"A", "B"}
    first = next(letter for letter, each in letters.items() if "Fruit" in each.text.raw)
    column = seen.columns[-1]
    assert column.steps[0].letters == [f"{first}+"]
    assert [(piece.kind, piece.text) for piece in column.edits[0].changes if piece.kind != "same"]
    assert letters[first].places == ["1", "1", "1"]  # the edit takes no place from what all were shown


def test_earlier_revisions_are_folded_into_their_correction(judged):
    *_, much = judged
    wrong = much.judgments.order_by("-pk").first()
    judge(much, wrong.annotator.username, [[0], [1]], supersedes=wrong)
    seen = review_of(much)
    assert len(seen.columns) == 2
    assert [len(column.earlier) for column in seen.columns] == [0, 1]
    assert seen.disagreements[0].share.differing == 0


def test_the_newest_decision_comes_first(judged):
    *_, much = judged
    judge(much, "one", [[0], [1]], is_decision=True)
    judge(much, "two", [[1], [0]], is_decision=True)
    assert [column.judgment.annotator.username for column in review_of(much).decisions] == ["two", "one"]


def test_policies_are_looked_up_only_when_asked_for(judged):
    _, agreed, _, _ = judged
    assert [each.policy for each in review_of(agreed).completions] == ["", ""]
    assert [each.policy for each in review_of(agreed, with_policies=True).completions] == ["tiny", "tiny"]


def test_a_known_answer_is_shown_with_why_it_is_right(judged):
    _, agreed, _, _ = judged
    assert review_of(agreed).known_answer == ""
    seen = review_of(known(agreed))
    assert seen.known_answer in ("A > B", "B > A")
    assert seen.explanation is None


@pytest.mark.parametrize(("order", "expected"), [("newest", "ml"), ("disagreement", "ml"), ("priority", "lm")])
def test_what_disagrees_comes_in_the_order_that_was_asked_for(judged, order, expected):
    project, _, little, much = judged
    project.comparisons.filter(pk=little.pk).update(priority=1)
    filters = Filters(state="disagreeing", order=order)
    chosen = review_list.matching(project, filters)
    found = review_list.in_window(chosen, filters, review_list.window(chosen, "person"))
    assert found == [{"m": much.pk, "l": little.pk}[each] for each in expected]
