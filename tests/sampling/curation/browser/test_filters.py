"""Filters in a browser: chosen step by step, with and without a script, to a set that is kept."""

import pytest
from django.urls import reverse

from sampling.curation import actions
from sampling.models import Curation, FilterSet
from tests.annotation.browser.pages import PHONE, assert_accessible

DESKTOP = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
LOOKS = pytest.mark.parametrize("options", [DESKTOP, {**PHONE, "color_scheme": "dark"}], ids=["desktop", "dark phone"])


@pytest.fixture
def everyday(transactional_db, everyday):
    """Committed, for the server's threads."""
    return everyday


@pytest.fixture
def here_and_now(monkeypatch):
    """A worker that takes every run at once."""
    monkeypatch.setattr(actions, "announce", lambda curation: actions.execute(curation=curation))


def titles(page):
    return [each.text_content() for each in page.query_selector_all(".step-title")]


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@LOOKS
def test_filters_are_put_together_run_and_kept(new_page, everyday, alice, here_and_now, options):
    page = new_page(alice, reverse("sampling:prompt_set", args=[everyday.pk]), **options)
    page.click("text=Filter >> nth=0")
    for key in ("duplicates", "languages"):
        page.select_option("#step-new", key)
        page.click("#step-add")
        page.wait_for_selector(f"[value='{key}'][type=hidden]", state="attached")
    page.click("#step-1-up")
    page.wait_for_selector(".step:nth-child(1) [value='languages'][type=hidden]", state="attached")
    assert titles(page) == ["Language", "Duplicates"]
    page.click(".form-actions >> text=See what they remove")
    page.wait_for_selector("text=It is empty; give at least one")
    assert_accessible(page)
    assert fits(page)
    page.errors.clear()  # the browser logs the 422
    page.fill("[name=step-0-languages]", "en")
    page.select_option("[name=step-1-of]", "prompt")
    page.keyboard.press("Tab")
    page.press("[name=step-0-languages]", "Enter")  # which is the form's own button, not the first arrow
    page.wait_for_selector("text=removes 1 of 6")
    assert_accessible(page)
    assert fits(page)
    page.fill("[name=new_name]", "few")
    page.click("text=Keep what is left")
    page.wait_for_selector("text=kept as few")
    assert Curation.objects.get().made.prompts.count() == 5


def test_filters_are_put_together_without_a_script(new_page, everyday, alice):
    page = new_page(alice, reverse("sampling:filter_set_new"), java_script_enabled=False, **DESKTOP)
    for key in ("turns", "split"):
        page.select_option("#step-new", key)
        page.click("#step-add")
    page.fill("[name=step-0-most]", "3")
    page.click("#step-0-down")
    assert titles(page) == ["Train and eval by group", "Number of turns"]
    page.click("#step-0-remove")
    page.fill("[name=name]", "few turns")
    page.press("[name=name]", "Enter")
    assert page.url.endswith(FilterSet.objects.get().get_absolute_url())
    assert FilterSet.objects.get().steps == [{"filter": "turns", "least": None, "most": 3}]
