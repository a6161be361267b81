"""An annotator's own pages in a browser: answers, guidelines, the diff and a training item's feedback."""

import uuid

import pytest
from django.urls import reverse

from annotation import actions
from annotation.models import Comparison
from tests.annotation.browser.pages import PHONE, assert_accessible

SIZES = {
    "desktop, light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "phone, dark": {**PHONE, "color_scheme": "dark"},
}


@pytest.fixture
def judged(project, held, bob):
    """What Bob has judged and flagged, under guidelines that have changed since he read them."""
    actions.mark_guidelines_read(project=project, user=bob, version=project.guidelines_version)
    actions.publish_guidelines(project=project, text="Prefer *kindness*.", by=None)
    actions.submit_judgment(
        assignment=held, annotator=bob, answer=actions.Answer(ranking=[[pk] for pk in held.display_order]),
        request_key=uuid.uuid4(),
    )  # fmt: skip
    actions.raise_flag(assignment=held, annotator=bob, note="Two questions in one.")
    return held


@pytest.mark.parametrize("size", SIZES)
def test_every_page_is_accessible_and_fits(new_page, live_server, project, judged, bob, size):
    comparison = judged.comparison
    Comparison.objects.filter(pk=comparison.pk).update(
        purpose="training", known_ranking=[judged.display_order], explanation="All are **alike**."
    )
    type(judged).objects.update(purpose="training", slot=None)
    page = new_page(bob, reverse("annotation:answers", args=[project.slug]), **SIZES[size])
    page.locator("summary", has_text="Flag").click()
    others = [
        reverse("annotation:guidelines", args=[project.slug]),
        reverse("annotation:diff", args=[judged.pk]),
        reverse("annotation:feedback", args=[judged.pk]),
    ]
    for address in [None, *others]:
        if address:
            page.goto(live_server.url + address)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url


def test_what_was_answered_can_be_found_flagged_and_corrected(new_page, project, judged, bob):
    page = new_page(bob, reverse("annotation:answers", args=[project.slug]))
    page.get_by_role("button", name="Flagged").click()
    page.locator("summary", has_text="Flag").click()
    page.get_by_label("What should a manager look at?").fill("It is worse than I thought.")
    page.locator("form[action*=flag] button").click()
    page.get_by_text("Flagged: a manager will look at it.").wait_for()
    assert page.get_by_role("row").filter(has_text="It is worse than I thought.").count() == 1
    page.get_by_role("link", name="Open and correct").click()
    page.get_by_role("button", name="Save correction").wait_for()


def test_new_guidelines_are_read_once(new_page, project, judged, bob):
    page = new_page(bob, reverse("annotation:guidelines", args=[project.slug]))
    assert page.locator("del").all_inner_texts()[1:] == ["truth"]
    page.get_by_role("button", name="I have read version 2").click()
    page.get_by_text("You have read this version.").wait_for()
