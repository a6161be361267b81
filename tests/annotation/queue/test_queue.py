"""In which order completions are shown, what the page says beside the task, and why there is nothing left."""

import pytest
from django.template.loader import render_to_string

from annotation import actions
from annotation.queue.next_slot import NothingLeft, why_nothing
from annotation.task.progress import own_progress
from tests.annotation.queue.turns import answer, claim

pytestmark = pytest.mark.django_db


def test_over_the_slots_of_a_comparison_each_completion_is_shown_at_each_place(project, opened, alice, bob, charlie):
    project.overlap = 2
    project.save()
    opened(1)
    orders = [claim(project, user).display_order for user in (alice, bob)]
    assert all(first != second for first, second in zip(*orders, strict=True))


def test_a_slot_that_comes_back_shows_the_order_that_it_had(project, held, alice, bob):
    actions.skip(assignment=held, annotator=bob, reason="")
    assert claim(project, alice).display_order == held.display_order


# Nothing left


def test_why_there_is_nothing(project, opened, alice, bob):
    assert why_nothing(project=project, annotator=bob) == NothingLeft.NOTHING_OPENED
    opened(1)
    alices = claim(project, alice)
    assert claim(project, bob) is None
    assert why_nothing(project=project, annotator=bob) == NothingLeft.WITH_OTHERS
    answer(alices)
    assert why_nothing(project=project, annotator=bob) == NothingLeft.DONE
    actions.set_paused(project=project, is_paused=True)
    assert why_nothing(project=project, annotator=bob) == NothingLeft.PAUSED


@pytest.mark.parametrize("nothing", NothingLeft)
def test_the_page_says_why_in_words_of_its_own(project, alice, nothing):
    others = [each for each in NothingLeft if each != nothing]
    shown, *rest = (said(each, project, alice) for each in [nothing, *others])
    assert shown.count("<h2>") == 1
    assert shown not in rest


def said(nothing, project, annotator):
    progress = own_progress(project=project, annotator=annotator)
    context = {"nothing": nothing, "project": project, "progress": progress, "may_manage": True}
    return render_to_string("annotation/_nothing_left.html", context)


def test_the_figures_beside_the_task_stop_counting(project, opened, alice, bob, monkeypatch):
    monkeypatch.setattr("annotation.task.progress.COUNT_TO", 2)
    opened(3)
    first = own_progress(project=project, annotator=bob)
    assert (first.done, first.total) == (0, 2)
    assert (first.is_done_capped, first.is_capped) == (False, True)
    answer(claim(project, bob))
    answer(claim(project, alice))
    assert own_progress(project=project, annotator=bob).done == 1
    answer(claim(project, bob))
    later = own_progress(project=project, annotator=bob)
    assert (later.done, later.is_done_capped) == (2, True)


def test_what_has_reached_the_limit_is_not_counted_again(project, opened, bob, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("annotation.task.progress.COUNT_TO", 2)
    opened(3)
    for _ in range(2):
        answer(claim(project, bob))
    own_progress(project=project, annotator=bob)
    with django_assert_num_queries(0):
        assert own_progress(project=project, annotator=bob).done == 2


def test_only_so_many_of_ones_newest_answers_are_looked_at(project, opened, bob, monkeypatch):
    """Whatever one has done elsewhere: then the figure is a lower bound, and says so."""
    monkeypatch.setattr("annotation.task.progress.LOOK_AT", 2)
    opened(3)
    for _ in range(3):
        answer(claim(project, bob))
    progress = own_progress(project=project, annotator=bob)
    assert (progress.done, progress.is_done_capped) == (2, True)
