"""Gold comes among work, as often as the project says, and cannot be told from it."""

import re
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation import actions
from annotation.models import Assignment, AssignmentState, Comparison, Project, Role, Slot
from tests.annotation.queue.turns import answer, claim, make_known

pytestmark = pytest.mark.django_db


def test_gold_comes_as_often_as_the_project_says_and_each_only_once(project, opened, bob, draws):
    make_known("gold", opened(6)[:2])
    project.gold_percent = 30
    draws(0.29)
    gold = [claim(project, bob)]
    answer(gold[0])
    gold.append(claim(project, bob))
    answer(gold[1])
    assert {each.purpose for each in gold} == {"gold"}
    assert gold[0].comparison != gold[1].comparison
    assert all(each.slot is None for each in gold)
    assert claim(project, bob).purpose == "work"


def test_no_gold_comes_above_the_share(project, opened, bob, draws):
    make_known("gold", opened(6)[:2])
    project.gold_percent = 30
    draws(0.3)
    assert claim(project, bob).purpose == "work"


def test_gold_leaves_the_slot_that_it_stands_before(project, opened, bob, draws):
    make_known("gold", opened(2)[:1])
    project.gold_percent = 100
    draws(0)
    assert claim(project, bob).purpose == "gold"
    slot = Slot.objects.get()
    assert slot.free_from <= timezone.now()
    assert not slot.assignments.exists()


def test_gold_that_is_handed_out_costs_nobody_an_expired_lease(project, opened, alice, bob, draws):
    make_known("gold", opened(2)[:1])
    alices = claim(project, alice)
    Slot.objects.update(free_from=timezone.now() - timedelta(seconds=1))
    project.gold_percent = 100
    draws(0)
    assert claim(project, bob).purpose == "gold"
    alices.refresh_from_db()
    assert alices.state == AssignmentState.HELD


def test_gold_is_not_given_alone(project, opened, bob, draws):
    make_known("gold", opened(2))
    project.gold_percent = 100
    draws(0)
    assert claim(project, bob) is None


def page_of(client, user, project):
    """The fragment of the next task, and which it is."""
    client.force_login(user)
    response = client.get(reverse("annotation:annotate", args=[project.slug]), headers={"HX-Request": "true"})
    return response.content.decode(), response.context["assignment"]


def test_every_request_takes_as_many_queries_for_gold_as_for_work(project, opened, bob, charlie, draws, client):
    """Next, the one ahead, a draft, a renewal, a skip and an answer: none takes longer, or less long, for gold."""
    actions.add_member(project=project, user=charlie, role=Role.ANNOTATOR)
    make_known("gold", opened(8)[:4])
    Project.objects.filter(pk=project.pk).update(gold_percent=50)
    counts = {}
    for user, value in ((bob, 0.0), (charlie, 0.9)):
        draws(value)
        client.force_login(user)
        client.get(reverse("annotation:guidelines", args=[project.slug]))  # what is read once is read
        counts[user.username] = [len(queries) for queries in a_morning(project, user, client)]
    assert counts["bob"] == counts["charlie"]


def a_morning(project, user, client):
    """The queries of each request."""
    script = {"HX-Request": "true"}
    with CaptureQueriesContext(connection) as queries:
        shown = client.get(reverse("annotation:annotate", args=[project.slug]), headers=script).context["assignment"]
    yield queries
    with CaptureQueriesContext(connection) as queries:
        client.post(reverse("annotation:ahead", args=[project.slug]), {"of": shown.pk}, headers=script)
    yield queries
    ranks = {f"rank_{letter}": number for number, letter in enumerate("ABCD", start=1)}
    fields = {**ranks, "request_key": uuid.uuid4(), "background": "1"}
    for name, data in (("draft", ranks), ("renew", {}), ("submit", fields)):
        with CaptureQueriesContext(connection) as queries:
            assert client.post(reverse(f"annotation:{name}", args=[shown.pk]), data).status_code == 204
        yield queries
    second = claim(project, user)
    with CaptureQueriesContext(connection) as queries:
        client.post(reverse("annotation:skip", args=[second.pk]), {"background": "1"})
    yield queries


def test_the_page_after_a_gold_answer_is_the_page_after_any_other(project, opened, bob, charlie, draws, client):
    """No figure on it goes its own way: the pages before and after differ in the same places."""
    actions.add_member(project=project, user=charlie, role=Role.ANNOTATOR)
    make_known("gold", opened(6)[:3])
    Project.objects.filter(pk=project.pk).update(gold_percent=50)
    changed = []
    for user, first in ((bob, 0.0), (charlie, 0.9)):
        draws(first)
        before, held = page_of(client, user, project)
        assert held.purpose == ("gold" if user == bob else "work")
        answer(held)
        draws(0.9)
        after, _ = page_of(client, user, project)
        changed.append([figures(before), figures(after)])
    assert changed[0] == changed[1]


def figures(page):
    """Every number in the head of the page, in the text and in the attributes."""
    head = page[: page.index("</header>")]
    return re.findall(r"\d+", re.sub(r"/\S*", "", head))


def test_gold_is_what_was_opened_nearest_to_the_work_before_it(project, opened, bob, draws):
    """Work comes in the order in which it was opened; gold from anywhere would stand out in a sorted prompt set."""
    comparisons = opened(9)
    make_known("gold", [comparisons[0], comparisons[5], comparisons[8]])
    project.gold_percent = 50
    draws(0.9)
    for _ in range(3):
        last = claim(project, bob)
        answer(last)
    assert last.comparison == comparisons[3]
    draws(0.0)
    assert claim(project, bob).comparison == comparisons[5]


def test_over_those_who_get_it_each_completion_of_gold_is_shown_at_each_place(project, opened, draws):
    """Whatever ids they have: those of three in four accounts may be other projects'."""
    make_known("gold", opened(2)[:1])
    project.gold_percent = 100
    draws(0.0)
    orders = []
    for number in (4, 8, 12, 16):
        user = User.objects.create_user(f"annotator-{number}", pk=10_000 + number)
        actions.add_member(project=project, user=user, role=Role.ANNOTATOR)
        orders.append(claim(project, user).display_order)
    assert all(len(set(place)) == 4 for place in zip(*orders, strict=True))


def test_lost_gold_is_lost_in_the_words_of_work(project, opened, bob, charlie, draws):
    actions.add_member(project=project, user=charlie, role=Role.ANNOTATOR)
    make_known("gold", opened(3)[:1])
    project.gold_percent = 50
    words = []
    for user, value in ((bob, 0.0), (charlie, 0.9)):
        draws(value)
        held = claim(project, user)
        Assignment.objects.filter(pk=held.pk).update(state=AssignmentState.EXPIRED)
        with pytest.raises(actions.LeaseLost) as lost:
            answer(held)
        words.append(str(lost.value))
    assert words[0] == words[1]


def test_gold_can_be_skipped_and_does_not_come_back(project, opened, bob, draws):
    make_known("gold", opened(3)[:1])
    project.gold_percent = 100
    draws(0)
    gold = claim(project, bob)
    actions.skip(assignment=gold, annotator=bob, reason="I cannot judge this")
    assert claim(project, bob).purpose == "work"
    gold.refresh_from_db()
    assert gold.state == AssignmentState.SKIPPED


def test_withdrawn_gold_is_not_given(project, opened, bob, draws):
    make_known("gold", opened(3)[:1])
    Comparison.objects.filter(purpose="gold").update(withdrawn_at=timezone.now())
    project.gold_percent = 100
    draws(0)
    assert claim(project, bob).purpose == "work"
