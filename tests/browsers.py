"""A real browser for the pages of every app: Debian's chromium against the live server. One for the whole run."""

import os
import threading
from pathlib import Path

import pytest
from django.core.signals import request_finished, request_started

CHROMIUM = Path("/usr/bin/chromium")


def mark_browser_tests(items):
    """Those in a folder named browser."""
    absent = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is absent: install Debian's chromium")
    for item in items:
        if item.path.parent.name == "browser":
            for mark in (pytest.mark.browser, pytest.mark.django_db(transaction=True), absent):
                item.add_marker(mark)


@pytest.fixture(scope="session")
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


@pytest.fixture
def requests(live_server):
    """The requests that the live server is answering. Tables are emptied only after the last one has ended."""
    requests = Requests()
    request_started.connect(requests.one_more)
    request_finished.connect(requests.one_less)
    yield requests
    requests.wait_until_none()
    request_started.disconnect(requests.one_more)
    request_finished.disconnect(requests.one_less)


class Requests:
    def __init__(self):
        self.running = 0
        self.changed = threading.Condition()

    def one_more(self, **signal):
        with self.changed:
            self.running += 1

    def one_less(self, **signal):
        with self.changed:
            self.running -= 1
            self.changed.notify_all()

    def wait_until_none(self):
        with self.changed:
            self.changed.wait_for(lambda: self.running <= 0, timeout=10)


@pytest.fixture
def new_page(browser, live_server, client, requests):
    """new_page(user, path, **context options): a page of this user. Errors of its scripts fail the test at its end."""
    opened = []

    def new_page(user, path, **options):
        client.force_login(user)
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
        context.add_cookies([session])
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and page.errors.append(message.text))
        opened.append((context, page))
        page.goto(live_server.url + path)
        return page

    yield new_page
    for context, page in opened:
        errors = [*page.errors]
        context.set_offline(True)  # no draft goes out while the tables are being emptied
        context.close()
        assert errors == []
