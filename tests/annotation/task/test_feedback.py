"""Training items, which are answered with feedback, and everything else, which never is."""

import re
import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.models import Assignment, AssignmentPurpose, Comparison, Judgment, Project

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}
KNOWN_PURPOSES = ["gold", "qualification", "training"]


@pytest.fixture
def bobs(client, bob):
    client.force_login(bob)
    return client


@pytest.fixture
def give(comparison, bob):
    """give(purpose): Bob holds the comparison for that; for him A is right, then B, then C and D alike."""

    def give(purpose):
        a, b, c, d = comparison.completions.values_list("pk", flat=True)
        if purpose in KNOWN_PURPOSES:
            Comparison.objects.update(
                purpose=purpose, known_ranking=[[a], [b], [c, d]], explanation="*A* names the city."
            )  # fmt: skip
        return Assignment.objects.create(
            comparison=comparison, annotator=bob, purpose=purpose, display_order=[a, b, c, d],
            leased_until=timezone.now(),
        )  # fmt: skip

    return give


def url(name, assignment):
    return reverse(f"annotation:{name}", args=[assignment.pk])


def answer(**changes):
    return {"rank_A": 1, "rank_B": 2, "rank_C": 3, "rank_D": 3, "request_key": uuid.uuid4()} | changes


def annotate(project):
    return reverse("annotation:annotate", args=[project.slug])


def test_a_training_item_is_answered_with_both_rankings_and_the_reason(bobs, give):
    training = give("training")
    response = bobs.post(url("submit", training), answer(rank_B=3, rank_C=2), **HTMX)
    html = response.content.decode()
    feedback = response.context["feedback"]
    assert html.lstrip().startswith('<section id="task"')
    assert (feedback["yours"], feedback["known"]) == ("A > C > B = D", "A > B > C = D")
    # Right: A over B, over C and over D. Wrong: B over C, B over D, C like D.
    assert (feedback["right"], feedback["total"]) == (3, 6)
    assert "<em>A</em> names the city." in html
    assert "Go on" in html
    assert "policy-0" not in html


def test_the_completions_stand_in_the_known_order_each_with_the_place_that_it_was_given(bobs, give):
    Project.objects.update(allow_edits=True)
    sent = answer(rank_B=3, rank_C=2, edit_of="C", edit_text="Mine.")
    feedback = bobs.post(url("submit", give("training")), sent, **HTMX).context["feedback"]
    # Known: A, then B, then C and D. Given: A, then C, then B and D; the edit takes no place.
    placed = [(each.card.letter, each.known, each.yours, each.is_off) for each in feedback["placed"]]
    assert placed == [("A", 1, 1, False), ("B", 2, 3, True), ("C", 3, 2, True), ("D", 3, 3, False)]


def test_who_is_right_is_told_so(bobs, give):
    assert b"Just as the known answer" in bobs.post(url("submit", give("training")), answer(), **HTMX).content


def test_an_edit_does_not_count_as_a_pair(bobs, give):
    Project.objects.update(allow_edits=True)
    sent = answer(edit_of="D", edit_text="Better.")
    feedback = bobs.post(url("submit", give("training")), sent, **HTMX).context["feedback"]
    assert (feedback["yours"], feedback["right"]) == ("A > B > D+ > C = D", 6)


def test_without_a_script_the_feedback_is_a_page_of_its_own(bobs, give):
    training = give("training")
    response = bobs.post(url("submit", training), answer(), follow=True)
    assert response.redirect_chain[0][0] == url("feedback", training)
    assert b"<html" in response.content
    assert b"Just as the known answer" in response.content


def test_going_on_leads_to_the_task_after_it(bobs, project, give):
    assert annotate(project) in bobs.post(url("submit", give("training")), answer(), **HTMX).content.decode()


def test_a_corrected_training_item_is_answered_with_feedback_again(bobs, give):
    training = give("training")
    bobs.post(url("submit", training), answer(), **HTMX)
    response = bobs.post(url("submit", training), answer(rank_A=3), **HTMX)
    assert response.headers["HX-Redirect"] == url("feedback", training)
    assert Judgment.objects.current().get().revision == 2


def test_only_a_training_item_makes_the_page_wait(bobs, project, give):
    training = give("training")
    assert bobs.get(url("assignment", training)).context["waits"]
    Assignment.objects.update(purpose=AssignmentPurpose.GOLD)
    assert not bobs.get(url("assignment", training)).context["waits"]


@pytest.mark.parametrize("purpose", ["gold", "qualification"])
def test_gold_and_qualification_are_answered_like_work(bobs, project, give, purpose):
    known = give(purpose)
    response = bobs.post(url("submit", known), answer(), **HTMX)
    assert response.status_code == 200
    assert "feedback" not in response.context
    assert "names the city" not in response.content.decode()
    assert bobs.get(url("feedback", known)).url == known.get_absolute_url()


def test_there_is_no_feedback_before_the_answer(bobs, give):
    training = give("training")
    assert bobs.get(url("feedback", training)).url == training.get_absolute_url()


@pytest.mark.parametrize("purpose", KNOWN_PURPOSES)
def test_what_has_no_slot_can_be_skipped(bobs, give, purpose):
    known = give(purpose)
    assert bobs.post(url("skip", known), {"reason": "I cannot judge this"}, **HTMX).status_code == 200
    known.refresh_from_db()
    assert known.state == "skipped"


@pytest.mark.parametrize("purpose", KNOWN_PURPOSES)
def test_what_has_no_slot_can_be_drafted_and_renewed(bobs, give, purpose):
    known = give(purpose)
    assert bobs.post(url("draft", known), {"rank_A": 1}).status_code == 204
    assert bobs.post(url("renew", known)).status_code == 204


def test_the_page_of_gold_is_the_page_of_work_but_for_what_is_drawn(bobs, project, give):
    """The same bytes, once ids, keys and tokens are taken out."""
    gold = give("gold")
    drawn = r'[0-9a-f-]{36}|name="csrfmiddlewaretoken" value="\w+"|X-CSRFToken": "\w+'
    shown_as_gold = re.sub(drawn, "", bobs.get(url("assignment", gold)).content.decode())
    slot = gold.comparison.slots.get()
    Assignment.objects.update(purpose=AssignmentPurpose.WORK, slot=slot)
    Comparison.objects.update(purpose="work", known_ranking=None, explanation="")
    assert re.sub(drawn, "", bobs.get(url("assignment", gold)).content.decode()) == shown_as_gold


# Reviews


def test_a_decision_leads_back_to_its_comparison(client, alice, give, comparison):
    review = give("review")
    Assignment.objects.update(annotator=alice)
    client.force_login(alice)
    page = client.get(url("assignment", review))
    assert page.context["is_review"]
    response = client.post(url("submit", review), answer())
    assert response.status_code == 302
    assert response.url == reverse("annotation:comparison", args=[comparison.pk])
    assert Judgment.objects.get().is_decision


def test_who_is_no_reviewer_any_more_decides_nothing(bobs, give):
    review = give("review")
    assert bobs.get(url("assignment", review)).status_code == 403
    assert bobs.post(url("submit", review), answer()).status_code == 403
    assert not Judgment.objects.exists()
