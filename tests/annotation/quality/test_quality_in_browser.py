"""The pages of agreement in a real browser: new figures come by themselves, and nobody is shut out."""

import os
from pathlib import Path
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from annotation import actions
from annotation.actions import reports
from annotation.models import ProjectReport
from tests.annotation.judged import judge, make_comparison

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is absent: install Debian's chromium"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    # Playwright's loop runs in this thread, which Django takes for asynchronous code.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    else:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


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


@pytest.fixture
def open_page(browser, live_server, client, alice):
    opened = []

    def open_page(path, **options):
        client.force_login(alice)
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
        context.add_cookies([session])
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and page.errors.append(message.text))
        opened.append((context, page))
        page.goto(live_server.url + path)
        return page

    yield open_page
    for context, page in opened:
        assert page.errors == []
        context.close()


def test_figures_come_by_themselves_once_a_worker_has_computed_them(open_page, judged):
    page = open_page(reverse("annotation:quality", args=[judged.slug]))
    assert page.get_by_text("The first figures are on their way").is_visible()
    assert reports.compute_report(report=ProjectReport.objects.get()) is True
    page.wait_for_selector("h2:has-text('Agreement')")
    assert page.locator("#quality").count() == 1
    assert page.get_by_text("from 48 judgments").is_visible()
    page.get_by_role("button", name="Compute again").click()
    page.get_by_text("a worker takes them up").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_shuts_anybody_out_and_nothing_overflows(open_page, judged, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    reports.compute_report(report=actions.request_report(project=judged))
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 844}}
    bob = User.objects.get(username="bob")
    for path in (
        reverse("annotation:quality", args=[judged.slug]),
        reverse("annotation:annotator", args=[judged.slug, bob.pk]),
    ):
        page = open_page(path, **options)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
