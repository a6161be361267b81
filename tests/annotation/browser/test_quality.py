"""The pages of agreement in a real browser: new figures come by themselves, and nobody is shut out."""

from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from annotation import actions
from annotation.actions import reports
from annotation.models import ProjectReport
from tests.annotation.browser.pages import assert_accessible
from tests.annotation.judged import judge, make_comparison


@pytest.fixture(autouse=True)
def no_worker():
    with patch("annotation.tasks.compute_report.delay"):
        yield


@pytest.fixture
def judged(project):
    for number in range(24):
        comparison = make_comparison(project, ["one answer", "another, much longer answer"])
        judge(comparison, "bob", [[0], [1]], seconds_spent=30.0, rationale="It answers.")
        judge(comparison, "dora", [[0], [1]] if number % 3 else [[1], [0]], seconds_spent=40.0)
    return project


def test_figures_come_by_themselves_once_a_worker_has_computed_them(new_page, alice, judged):
    page = new_page(alice, reverse("annotation:quality", args=[judged.slug]))
    assert page.get_by_text("The first figures are on their way").is_visible()
    assert reports.compute_report(report=ProjectReport.objects.get()) is True
    page.wait_for_selector("h2:has-text('Agreement')")
    assert page.locator("#quality").count() == 1
    assert page.get_by_text("from 48 judgments").is_visible()
    page.get_by_role("button", name="Compute again").click()
    page.get_by_text("a worker takes them up").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_shuts_anybody_out_and_nothing_overflows(new_page, alice, judged, scheme, width):
    reports.compute_report(report=actions.request_report(project=judged))
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 844}}
    bob = User.objects.get(username="bob")
    for path in (
        reverse("annotation:quality", args=[judged.slug]),
        reverse("annotation:annotator", args=[judged.slug, bob.pk]),
    ):
        page = new_page(alice, path, **options)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
