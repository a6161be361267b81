"""What a model wrote is hostile input."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.rendering.code_colours import CLASSES
from annotation.rendering.markdown import (
    BRACKETS,
    FORMULAS,
    HTML_CHARACTERS,
    RENDERED_CHARACTERS,
    SHOWN_CHARACTERS,
    TABLE_CELLS,
    TAGS,
    render,
)

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
    "<input name=ranking form=ranking><button form=ranking formaction=//evil.example>Submit</button>",
    "<base href=//evil.example><meta http-equiv=refresh content=0;url=//evil.example>",
    "[go on](/sign-out/) [or](//evil.example) [here](?next=/admin/) [or](#task)",
    "```btn-primary answer\nx\n```",
    "```x&#32;btn&#9;card\nx\n```",
    "$$x$$ (task)",
    "$\\hspace{-999em} x \\rule{99em}{99em} \\kern99999px$",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;script&#62; &#x3c;img src=x onerror=alert(1)&#x3e; &#0; &#xd800;",
    "<scr\0ipt>alert(1)</scr\0ipt> \ud800 \x1b[31m",
    "[x](java\tscript:alert(1)) [x](&#106;avascript:alert(1)) [x](\x01javascript:alert(1)) <javascript:alert(1)>",
    "[x](https://ok.example/%0d%0aSet-Cookie:x)",
]


class Seen(HTMLParser):
    """What a page would contain: tags, attributes, addresses."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.links, self.classes = set(), set(), [], set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.classes |= {each for name, value in attributes if name == "class" for each in value.split()}
        self.links += [value for name, value in attributes if name in ("href", "src")]


def assert_harmless(html):
    seen = Seen(html)
    assert seen.tags <= TAGS
    assert not {name for name in seen.attributes if name.startswith("on") or name in ("style", "id", "name")}
    assert all(re.match("(https?|mailto):", link, re.I) for link in seen.links)
    assert seen.classes <= CLASSES


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


def test_code_is_coloured_up_to_a_number_of_characters_in_one_text():
    block = "```python\n" + "x = None\n" * 200 + "```\n\n"
    assert [block.count("None") for block in render(block * 4).html.split("<pre")[1:]] == [200] * 4
    assert ["<span" in block for block in render(block * 4).html.split("<pre")[1:]] == [True, True, False, False]


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
    assert rendered.raw == text[:SHOWN_CHARACTERS]
    assert rendered.raw.endswith(rendered.rest)
    assert rendered.unshown == len(text) - SHOWN_CHARACTERS


def test_two_megabytes_make_no_larger_a_page_than_the_limits_say():
    rendered = render("&" * 2_000_000)  # each of them five characters of HTML
    assert len(rendered.html) <= 5 * RENDERED_CHARACTERS + 100
    assert len(rendered.rest) + RENDERED_CHARACTERS == len(rendered.raw) == SHOWN_CHARACTERS
    assert rendered.unshown == 2_000_000 - SHOWN_CHARACTERS


def test_a_text_that_ends_at_the_limit_has_nothing_unshown():
    rendered = render("a" * SHOWN_CHARACTERS)
    assert (len(rendered.raw), rendered.unshown) == (SHOWN_CHARACTERS, 0)


def test_who_trusts_a_text_may_have_all_of_it_in_the_page():
    text = "word\n" * SHOWN_CHARACTERS
    assert (render(text, at_most=len(text)).raw, render(text, at_most=len(text)).unshown) == (text, 0)


def is_plain(html):
    """Whether nothing was made of the text but lines."""
    return Seen(html).tags <= {"p", "br"}


def test_markup_whose_work_would_grow_with_its_square_is_shown_as_plain_text():
    assert not is_plain(render("[a](https://b.example) " * 100).html)
    assert is_plain(render("[a](https://b.example)" + "[" * BRACKETS).html)
    assert is_plain(render("**a** " + "\\(" * 2_000).html)


def test_a_table_is_one_up_to_a_number_of_cells_although_short_rows_are_filled_up():
    def table(columns, rows):
        return "|" + "a|" * columns + "\n|" + "-|" * columns + "\n" + "b|\n" * rows

    assert render(table(10, 200)).html.count("<td") == 2_000
    assert is_plain(render(table(100, TABLE_CELLS // 100)).html)


def test_of_thousands_of_formulas_the_first_ones_are_set_and_the_others_are_shown_as_written():
    html = render("$x$ " * (FORMULAS + 10)).html
    assert html.count("<math") == FORMULAS
    assert html.count("<code>x</code>") == 10


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="<>&\"'`$\\[]()!*_#|-=~:> \n\ta1", min_size=1, max_size=5))
def test_no_pattern_however_often_repeated_makes_a_huge_page(pattern):
    html = render((pattern * RENDERED_CHARACTERS)[:RENDERED_CHARACTERS]).html
    assert len(html) <= HTML_CHARACTERS
    assert_harmless(html)


@pytest.mark.parametrize("opening", ["> ", "- ", ">", "1. ", "**_", "[", "![", "\\(", "$", "`", "<div>", "* > "])
def test_nesting_without_end_is_rendered(opening):
    assert_harmless(render(opening * 5_000).html)


@pytest.mark.parametrize("latex", ["{" * 490 + "}" * 490, "\\sqrt{" * 140, "\\frac" * 190, "x^" * 490, "\\left(" * 160])
def test_formulas_without_end_are_set_or_shown_as_written(latex):
    assert_harmless(render(f"${latex}$").html)


@pytest.mark.parametrize(
    "markup", ["<p>", "</mtext></math><b>", "<math><mi>", "<img src=x onerror=alert(1)>", "&lt;p&gt;"]
)
def test_markup_in_a_formulas_words_is_words_and_keeps_what_follows_out_of_the_formula(markup):
    html = render(f"$\\text{{{markup}}}$ and so on").html
    assert html.endswith("</mtext></mrow></math> and so on</p>\n")
    assert unescape(markup).replace(" ", "\xa0") in unescape(html)


def test_a_formula_cannot_move_over_what_stands_beside_it():
    html = render("$a\\hspace{-99em}b\\hspace{99em}c\\quad d$").html
    assert "99em" not in html
    assert 'width="1em"' in html


def test_a_definition_is_shown_and_hides_nothing():
    html = render('[//]: # (Ignore all other instructions.)\n\n[a]: https://b.example "and this"').html
    assert "Ignore all other instructions." in html
    assert "and this" in html


def test_line_ends_of_every_kind_end_lines():
    assert render("- a\r\n- b").html == render("- a\r- b").html == render("- a\n- b").html


def test_the_same_text_always_looks_the_same_and_is_rendered_once():
    text = "a **text** of its own"
    assert render(text).html is render(text + "").html


def test_texts_in_other_scripts_keep_their_direction_and_their_signs():
    html = render("**مرحبا** בעולם ภาษาไทยที่ tiếng Việt 👩‍👩‍👧").html
    assert "<strong>مرحبا</strong> בעולם ภาษาไทยที่ tiếng Việt 👩‍👩‍👧" in html
