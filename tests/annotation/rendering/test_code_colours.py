"""Code and its colours."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments.lexers import get_lexer_by_name

from annotation.rendering.code_colours import (
    CLASSES,
    CODE_CHARACTERS,
    GAP_CHARACTERS,
    LANGUAGES,
    LINE_CHARACTERS,
    coloured,
)

PYTHON = "def f():\n    return 'x'\n"


def words_of(html):
    return unescape(re.sub(r"</?span[^>]*>", "", html))


def test_known_kinds_of_words_have_the_classes_of_the_style():
    html = coloured(PYTHON, "python")
    assert '<span class="k">def</span>' in html
    assert set(re.findall('class="(.*?)"', html)) <= CLASSES


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("code", [PYTHON, "\n\n  a < b && \"c\" {}\n;</pre><script>alert('&lt;')</script>", "x"])
def test_the_code_itself_stays_as_it_is(language, code):
    assert words_of(coloured(code, language)) == code


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_on_the_list_is_one(language):
    assert language in get_lexer_by_name(language).aliases


@pytest.mark.parametrize(
    "code",
    [
        PYTHON * (CODE_CHARACTERS // len(PYTHON) + 1),
        "x = '" + "a" * LINE_CHARACTERS + "'\n",
        "if x:\n" + " " * GAP_CHARACTERS + "pass\n",
        "x\n" + "\n" * GAP_CHARACTERS + "y\n",
    ],
)
def test_code_unlike_what_people_write_is_shown_without_colours(code):
    assert "<span" in coloured(PYTHON, "python")
    assert "<span" not in coloured(code, "python")


@pytest.mark.parametrize("language", ["", "nosuchlanguage", "scala", "../../etc/passwd", "<script>"])
def test_a_language_that_is_not_on_the_list_is_shown_without_colours(language):
    assert coloured("if 1 < 2", language) == "if 1 &lt; 2"


@given(st.text(max_size=80), st.sampled_from(sorted(LANGUAGES)))
def test_no_code_in_any_language_gets_a_tag_out(code, language):
    assert re.sub(r'<span class="[a-z0-9]+">|</span>', "", coloured(code, language)).count("<") == 0
