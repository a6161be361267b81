"""Characters that deceive, and those that only look as if they did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.rendering.characters import MARKS_KEPT, spell_out, take_out

DECEIVING = "\u202e\u2066\u200e\u061c\u200b\u2060\ufeff\u180e\u3164\x00\x08\x1b\x7f\x85\U000e0041\ufff9"


@pytest.mark.parametrize("character", DECEIVING)
def test_what_deceives_is_named_in_one_form_and_gone_from_the_other(character):
    assert spell_out(f"pay{character}live") == f"pay[U+{ord(character):04X}]live"
    assert take_out(f"pay{character}live") == "paylive"


@pytest.mark.parametrize(
    "text",
    [
        "tab\tand\nlines\r\n",
        "می‌خواهم",  # Persian needs its non-joiner
        "क्‍ष",  # and Hindi its joiner
        "👩‍👩‍👧 👍🏽 ❤️",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # the flag of Scotland is made of tags
        "tiếng Việt, ק֑וֹמֵץ, ཧཱུྃ, ภาษาไทยที่",
        "مرحبا",
    ],
)
def test_what_writing_and_emoji_need_stays_as_it_is(text):
    assert spell_out(text) == take_out(text) == text


def test_a_flood_of_invisible_characters_is_counted_and_not_written_out():
    flood = "\u200b\u2060" * 10_000
    assert spell_out(f"a{flood}b") == "a[20,000 invisible characters: U+200B, U+2060]b"
    assert take_out(f"a{flood}b") == "ab"


def test_a_flood_of_joiners_is_no_writing():
    assert take_out("a" + "\u200d" * 500 + "b") == "ab"


def test_a_tower_of_marks_is_cut_to_what_a_letter_can_carry():
    tower = "a" + "\u0301" * 500 + "b"
    assert take_out(tower) == "a" + "\u0301" * MARKS_KEPT + "b"
    assert spell_out(tower) == "a" + "\u0301" * MARKS_KEPT + "[494 more marks]b"


def test_half_of_a_surrogate_pair_can_be_sent():
    assert spell_out("a\ud83db").encode() == take_out("a\ud83db").encode() == b"a?b"


@given(st.text(alphabet=st.characters(), max_size=200))
def test_whatever_comes_in_what_comes_out_can_be_sent_and_holds_nothing_that_deceives(text):
    for shown in (spell_out(text), take_out(text)):
        shown.encode()
        assert take_out(shown) == shown
    assert not set(DECEIVING).intersection(spell_out(text))
