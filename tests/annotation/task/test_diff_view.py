"""The diff of two completions beside the task."""

import pytest
from django.urls import reverse

from annotation import actions
from annotation.rules.diff import MAX_WORDS

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def bobs(client, bob):
    client.force_login(bob)
    return client


def diff(assignment, **query):
    return reverse("annotation:diff", args=[assignment.pk], query=query)


@pytest.fixture
def hold(project, write, bob):
    """hold(texts): Bob holds a comparison of these, in this order of display."""

    def hold(*texts):
        actions.open_comparisons(project=project, completions=write(texts), k=len(texts))
        held = actions.claim_next(project=project, annotator=bob)
        held.display_order = sorted(held.display_order)
        held.save(update_fields=["display_order"])
        return held

    return hold


def test_what_differs_is_marked_as_put_in_or_taken_out(bobs, hold):
    response = bobs.get(diff(hold("It is Paris.", "It is Lyon.", "None."), a="A", b="B"), **HTMX)
    html = response.content.decode()
    assert html.lstrip().startswith("{#") is False
    assert '<section id="diff"' in html
    assert "It is <del>Paris</del><ins>Lyon</ins>." in html
    assert "<html" not in html


def test_the_first_two_are_compared_unless_others_are_chosen(bobs, hold):
    held = hold("One.", "Two.", "Three.")
    first = bobs.get(diff(held), **HTMX).context
    assert (first["a"], first["b"]) == ("A", "B")
    assert b"<del>Three</del><ins>One</ins>" in bobs.get(diff(held, a="C", b="A"), **HTMX).content


def test_without_a_script_it_is_a_page_with_a_way_back(bobs, hold):
    held = hold("One.", "Two.")
    html = bobs.get(diff(held)).content.decode()
    assert "<html" in html
    assert held.get_absolute_url() in html


def test_the_same_one_twice_asks_for_another(bobs, hold):
    assert b"Choose two different completions." in bobs.get(diff(hold("One.", "Two."), a="A", b="A")).content


@pytest.mark.parametrize("query", [{"a": "Z"}, {"a": "A", "b": "C"}, {"a": "1"}])
def test_letters_that_are_not_on_the_page_are_not_found(bobs, hold, query):
    assert bobs.get(diff(hold("One.", "Two."), **query)).status_code == 404


def test_markup_and_bidi_controls_of_a_model_are_shown_as_text(bobs, hold):
    held = hold("<script>alert(1)</script>", "</ins><img src=x onerror=alert(2)> \u202etxt.exe")
    html = bobs.get(diff(held), **HTMX).content.decode()
    assert "<script" not in html
    assert "<img" not in html
    assert "\u202e" not in html
    assert "U+202E" in html


def test_of_two_megabytes_the_beginning_is_compared_and_it_is_said(bobs, hold):
    response = bobs.get(diff(hold("left " * 400_000, "right " * 330_000)), **HTMX)
    assert b"only their beginnings are compared" in response.content
    assert len(response.content) < 20 * MAX_WORDS


def test_it_says_nothing_about_who_wrote_what(bobs, hold):
    html = bobs.get(diff(hold("One.", "Two."))).content.decode()
    assert "policy-0" not in html


def test_only_whose_task_it_is_may_look_and_only_look(client, bobs, hold, alice):
    held = hold("One.", "Two.")
    assert bobs.post(diff(held)).status_code == 405
    client.force_login(alice)
    assert client.get(diff(held)).status_code == 404
    client.logout()
    assert client.get(diff(held), **HTMX).status_code == 401
