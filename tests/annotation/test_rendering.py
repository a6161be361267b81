"""What a model wrote is hostile input."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.rendering import RENDERED_CHARACTERS, TAGS, render

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><a href='javascript:alert(1)'>x</a></svg>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](vbscript:x)",
    "![pixel](https://tracker.example/p.png)",
    '[x](https://ok.example "a\\" onmouseover=alert(1)")',
    "<iframe src=//evil.example></iframe>",
    "<style>body{display:none}</style>",
    '<form action="/sign-out/"><button>x</button></form>',
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "```<script>\nx\n```",
    "$\\text{<img src=x onerror=alert(1)>}$",
    "$\\href{javascript:alert(1)}{x}$",
    "\\[ \\style{position:fixed}{x} \\]",
    "$$\\class{btn-primary}{x}$$",
    "<math><annotation-xml encoding='text/html'><img src=x onerror=alert(1)></annotation-xml></math>",
    "<!--><script>alert(1)</script>-->",
    "<a id=task name=form>x</a>",
]


class Seen(HTMLParser):
    """What a page would contain: tags, attributes, addresses."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.links = set(), set(), []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.links += [value for name, value in attributes if name in ("href", "src")]


def assert_harmless(html):
    seen = Seen(html)
    assert seen.tags <= TAGS
    assert not {name for name in seen.attributes if name.startswith("on") or name in ("style", "id", "name")}
    assert all(re.match("(https?|mailto):|[^:]*$", link, re.I) for link in seen.links)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markup_comes_out_harmless(text):
    assert_harmless(render(text).html)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="<>&\"'`$\\[]()!*_#|-=/:{} \n\u202eabcjs", max_size=200))
def test_no_text_at_all_gets_a_tag_past_the_list(text):
    assert_harmless(render(text).html)


def test_a_script_is_shown_as_the_text_that_it_is():
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in render("<script>alert(1)</script>").html


def test_images_are_named_and_not_loaded():
    html = render("![a cat](https://tracker.example/p.png)").html
    assert "[image: a cat]" in html
    assert "tracker.example" not in html


def test_links_tell_nothing_to_where_they_lead():
    html = render("[site](https://example.org)").html
    assert 'rel="noopener noreferrer nofollow"' in html


def test_code_gets_classes_for_its_colours_and_no_style():
    html = render("```python\ndef f(): pass\n```").html
    assert '<span class="k">def</span>' in html
    assert "style=" not in html


def test_code_in_an_unknown_language_is_shown_plainly():
    assert "x &lt; y" in render("```nosuchlanguage\nx < y\n```").html


@pytest.mark.parametrize("text", ["$x^2$", "\\(x^2\\)", "$$x^2$$", "\\[x^2\\]"])
def test_formulas_become_mathml(text):
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in render(text).html


def test_prices_are_no_formulas():
    assert "<math" not in render("It costs $5, or $6 with a bag.").html


def test_a_broken_formula_is_shown_as_it_was_written():
    html = render("so $x^$ it is").html
    assert "<code>x^</code>" in html


def test_direction_marks_cannot_turn_the_text_around_and_are_spelt_out_in_the_raw_text():
    rendered = render("pay\u202elive")
    assert "\u202e" not in rendered.html
    assert rendered.raw == "pay[U+202E]live"


def test_the_raw_text_is_what_the_model_wrote():
    text = "  two\n\n**spaces** <b>& a tag</b>"
    assert render(text).raw == text


def test_a_huge_text_is_rendered_up_to_a_limit_and_the_rest_is_kept_as_text():
    text = "word\n" * RENDERED_CHARACTERS
    rendered = render(text)
    assert len(rendered.html) < 3 * RENDERED_CHARACTERS
    assert rendered.rest.startswith("word\n")
    assert len(rendered.rest) > 3 * RENDERED_CHARACTERS
    assert rendered.raw == text
