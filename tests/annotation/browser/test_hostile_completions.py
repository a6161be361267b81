"""What a model may write to harm who reads it, in a real browser: harmless, and the page stays usable."""

from urllib.parse import urljoin, urlsplit

import pytest
from django.urls import reverse

from annotation import actions
from annotation.models import Judgment
from annotation.rendering.markdown import TAGS
from tests.annotation.browser.pages import PHONE, assert_accessible, press
from tests.annotation.rendering.test_rendering import HOSTILE

MARKUP = "\n\n".join(HOSTILE).replace("\0", "\ufffd").replace("\ud800", "\ufffd")  # as the intake stores them
WIDE = "\n\n".join(
    [
        "w" * 10_000,
        "```\n" + "c" * 2_000 + "\n```",
        "`" + "i" * 2_000 + "`",
        "$" + "x" * 900 + "$",
        "$$" + "y" * 900 + "$$",
        "|" + "cell|" * 60 + "\n|" + "-|" * 60 + "\n|" + "cell|" * 60,
        "|a|b|\n|-|-|\n|" + "t" * 2_000 + "|b|",
        "> " * 40 + "quoted",
        "\n".join("  " * depth + "- nested" for depth in range(60)),
        "*" * 2_000,
        "https://example.org/" + "a" * 2_000,
    ]
)
SIGNS = "\n\n".join(
    [
        "a" + "\u0300\u0489\u20dd" * 200 + " tower",
        "\u202eevil\u202c \u2066isolated",
        "\u200b" * 3_000 + "zero",
        "\u0430\u0440\u0440\u04cf\u0435.com",
        "\u05e9\u05dc\u05d5\u05dd " * 50,
        "\U000e0041" * 500,
        "\r\nends\rof\nlines",
        "\ufdfd" * 200,
        "\u0e47" * 400,
        "\U0001f469\u200d" * 300,
    ]
)
HUGE = "<img src=x onerror=alert(1)> **word** `code` " * 45_000  # two megabytes
ALL = [MARKUP, WIDE, SIGNS, HUGE]

# What is in the page that the server did not mean to be: found in every rendered text, by tag and by attribute.
STRANGERS = """tags => [...document.querySelectorAll("[data-rendered].prose *")].flatMap(element => [
  ...(tags.includes(element.localName) ? [] : [element.localName]),
  ...[...element.attributes].map(attribute => attribute.name).filter(name => /^on|^(style|id|name|src)$/.test(name)),
])"""
# Elements that reach out of the card or the conversation that they stand in, where nothing clips them.
OUTSIDE = """() => [...document.querySelectorAll("[data-rendered].prose")].filter(text => {
  const box = text.parentElement.getBoundingClientRect(), own = text.getBoundingClientRect();
  return own.right > box.right + 1 || own.left < box.left - 1;
}).length"""


@pytest.fixture
def open_hostile(new_page, project, write, bob):
    """open_hostile(texts, **context options): Bob's ranking page of these; all its requests are in page.asked."""

    def open_hostile(texts, **options):
        conversation = [{"role": "system", "content": WIDE[:30_000]}, {"role": "user", "content": MARKUP}]
        completions = write(texts, messages=conversation)
        actions.open_comparisons(project=project, completions=completions, k=len(texts))
        page = new_page(bob, reverse("annotation:home"), **options)
        page.asked, page.dialogs = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(page.url.rstrip("/") + reverse("annotation:annotate", args=[project.slug]))
        return page

    return open_hostile


@pytest.mark.parametrize("options", [{}, PHONE, {"color_scheme": "dark"}], ids=["desktop", "phone", "dark"])
def test_hostile_completions_do_nothing_and_stay_in_their_place(open_hostile, live_server, options):
    page = open_hostile(ALL, **options)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(STRANGERS, sorted(TAGS)) == []
    assert {urlsplit(url).netloc for url in page.asked} == {urlsplit(live_server.url).netloc}
    assert page.dialogs == []
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE) == 0
    assert len(page.content()) < 2_000_000
    assert_accessible(page)
    page.locator("[data-raw]").first.click()
    for summary in page.locator("[data-rendered] > summary").all():
        summary.evaluate("summary => { summary.parentElement.open = true; }")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_completions_are_ranked_like_any_other(open_hostile):
    page = open_hostile(ALL)
    with page.expect_response(lambda response: "/submit/" in response.url) as sent:
        press(page, "2 1 3 4 Enter")
    assert sent.value.status in (200, 204)
    assert [len(group) for group in Judgment.objects.get().ranking] == [1, 1, 1, 1]


def test_raw_text_shows_all_that_was_written_and_runs_nothing(open_hostile):
    page = open_hostile([MARKUP, SIGNS])
    page.locator("[data-raw]").first.click()
    raw = page.locator("pre[data-completion]:visible").all_inner_texts()
    assert len(raw) == 2
    assert any("<script>alert(1)</script>" in text for text in raw)
    assert any("[U+202E]evil[U+202C]" in text for text in raw)
    assert page.dialogs == []


def test_what_is_too_long_for_the_page_is_a_link_away(open_hostile):
    page = open_hostile([HUGE, "Short."])
    link = page.locator("a", has_text="whole text")
    response = page.request.get(urljoin(page.url, link.get_attribute("href")))
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text() == HUGE
