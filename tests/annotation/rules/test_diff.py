"""The diff of two texts."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.rules.diff import MAX_CHARACTERS, MAX_WORDS, Piece, is_cut, word_diff

TEXTS = st.text(st.sampled_from("ab ,.\n巴"), max_size=60)


def pieces(old, new):
    return [(piece.kind, piece.text) for piece in word_diff(old, new)]


def test_what_stayed_what_went_and_what_came():
    assert pieces("It is Paris.", "It is Lyon!") == [
        ("same", "It is "), ("removed", "Paris."), ("added", "Lyon!"),
    ]  # fmt: skip


def test_a_comma_put_in_is_all_that_is_marked():
    assert pieces("yes I do", "yes, I do") == [("same", "yes"), ("added", ","), ("same", " I do")]


def test_a_lone_space_between_two_changes_belongs_to_both():
    assert pieces("red fox ran", "grey wolf ran") == [
        ("removed", "red fox"), ("added", "grey wolf"), ("same", " ran"),
    ]  # fmt: skip


def test_a_line_break_is_a_difference():
    assert ("removed", " ") in pieces("one two", "one\ntwo")


def test_a_line_that_was_put_in_is_marked_as_a_line():
    assert pieces("- Check.\n- Stop.\n", "- Check.\n- Stop.\n- Rest.\n") == [
        ("same", "- Check.\n- Stop.\n"), ("added", "- Rest.\n"),
    ]  # fmt: skip
    assert pieces("Do it.", "Do it.\nAnd rest.") == [("same", "Do it."), ("added", "\nAnd rest.")]


def test_scripts_without_spaces_are_compared_by_character():
    assert pieces("巴黎是首都", "里昂是首都") == [("removed", "巴黎"), ("added", "里昂"), ("same", "是首都")]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [("", "", []), ("a", "a", [("same", "a")]), ("a b", "", [("removed", "a b")]), ("", "a", [("added", "a")])],
)
def test_empty_and_equal_texts(old, new, expected):
    assert pieces(old, new) == expected


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_off_the_pieces(old, new):
    found = word_diff(old, new)
    assert "".join(piece.text for piece in found if piece.kind != "added") == old
    assert "".join(piece.text for piece in found if piece.kind != "removed") == new
    assert all(piece.text for piece in found)
    kinds = [piece.kind for piece in found]
    assert all(first != second for first, second in pairwise(kinds))


@given(TEXTS)
def test_a_text_does_not_differ_from_itself(text):
    assert word_diff(text, text) == ([Piece("same", text)] if text else [])


@pytest.mark.parametrize("long", ["word " * (MAX_WORDS // 2 + 1), "x" * (MAX_CHARACTERS + 1), "巴" * (MAX_WORDS + 1)])
def test_of_a_very_long_text_the_beginning_is_compared(long):
    assert is_cut(long)
    assert not is_cut(long[:100])
    found = word_diff(long, long + "more")
    assert [piece.kind for piece in found] == ["same"]
    assert len(found[0].text) < len(long)


def test_two_megabytes_without_a_common_word_are_two_pieces():
    found = word_diff("left " * 400_000, "right\n" * 350_000)
    assert {piece.kind for piece in found} == {"removed", "added"}
