"""The pages of review in a browser: usable without a violation, and the way from a disagreement to its decision."""

import pytest
from django.urls import reverse

from annotation.models import Flag, Judgment, Purpose
from tests.annotation.browser.pages import PHONE, assert_accessible
from tests.annotation.judged import judge, known, make_comparison, make_project, make_user

DESKTOP = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}


@pytest.fixture
def disputed():
    """Bob and Eve disagree on the first comparison; the other two have a known answer."""
    project = make_project()
    project.gold_percent = 10
    project.save()
    disputed, gold, training = (make_comparison(project, ["Fruit and sugar.", "A traffic jam."]) for _ in range(3))
    judge(disputed, "bob", [[0], [1]], rationale="It is food.", seconds_spent=12)
    wrong = judge(disputed, "eve", [[0, 1]])
    judge(disputed, "eve", [[2], [1], [0]], ["better", "better"], supersedes=wrong, edit="Fruit, sugar and heat.")
    known(gold)
    known(training, Purpose.TRAINING)
    Flag.objects.create(comparison=disputed, raised_by=make_user("bob"), note="Which jam?")
    return disputed


@pytest.mark.parametrize("options", [DESKTOP, {**PHONE, "color_scheme": "dark"}], ids=["desktop", "dark phone"])
def test_every_page_of_review_is_accessible_and_fits(new_page, disputed, alice, options):
    slug = disputed.project.slug
    lists = [reverse(f"annotation:{name}", args=[slug]) for name in ("comparisons", "flags", "skips", "known_answers")]
    of_one = ("comparison", "known_answer", "comparison_withdraw")
    page = new_page(alice, lists[0], **options)
    for path in [*lists, *(reverse(f"annotation:{name}", args=[disputed.pk]) for name in of_one)]:
        page.goto(page.url.split("/projects/")[0].split("/comparisons/")[0] + path)
        for details in page.query_selector_all("main details"):
            details.evaluate("each => { each.open = true; }")
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_from_the_next_disagreement_to_its_decision_and_back(new_page, disputed, alice):
    page = new_page(alice, reverse("annotation:comparisons", args=[disputed.project.slug]), **DESKTOP)
    with page.expect_response(lambda response: "state=disagreeing" in response.url):
        page.get_by_label("State").select_option("disagreeing")
    page.get_by_role("link", name="Next disagreement").click()
    page.get_by_role("button", name="Decide").click()
    page.wait_for_url("**/assignments/**")
    page.keyboard.press("1")
    page.get_by_role("button", name="Decide").click()
    page.wait_for_url("**" + reverse("annotation:comparison", args=[disputed.pk]))
    assert page.get_by_text("The newest decision counts").is_visible()
    assert page.get_by_text("Decided.").is_visible()
    assert Judgment.objects.get(is_decision=True).annotator == alice


def test_a_flag_is_resolved_in_place(new_page, disputed, alice):
    page = new_page(alice, reverse("annotation:flags", args=[disputed.project.slug]), **DESKTOP)
    page.get_by_label("What was done").fill("The sweet one.")
    page.get_by_role("button", name="Resolve").click()
    page.get_by_text("Resolved by alice").wait_for()
    page.get_by_text("None is open any more.").wait_for()
    assert Flag.objects.get().resolution == "The sweet one."
