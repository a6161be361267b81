"""What differs between two texts, word by word. Pure: no database, no request.

A plain longest common subsequence of words, punctuation and white space: what a reader expects of a diff, and
bounded in time and memory however long the texts are.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from rapidfuzz.distance import LCSseq

# The matrix behind it has words x words bits: at this size it takes some 50 MB and a fraction of a second.
MAX_WORDS = 20_000
MAX_CHARACTERS = 200_000  # a model may write a single word of any length

# Scripts without spaces between words are compared character by character.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"\s+|[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")

Kind = Literal["same", "removed", "added"]


@dataclass(frozen=True)
class Piece:
    """A stretch of text that stayed, went or came."""

    kind: Kind
    text: str


@dataclass
class _Stretch:
    kind: Kind
    words: list[str]


def word_diff(old: str, new: str) -> list[Piece]:
    """The pieces of both texts in reading order. What is beyond MAX_WORDS of either is left out."""
    before, after = _words(old), _words(new)
    stretches: list[_Stretch] = []
    for change in LCSseq.opcodes(*_numbered(before, after)):
        removed, added = before[change.src_start : change.src_end], after[change.dest_start : change.dest_end]
        match change.tag:
            case "equal":
                stretches.append(_Stretch("same", removed))
            case "delete" | "insert" | "replace":
                stretches += [
                    _Stretch(kind, words) for kind, words in (("removed", removed), ("added", added)) if words
                ]
            case tag:
                raise AssertionError(f"{tag} is no operation of a diff.")
    for around in zip(stretches, stretches[1:], stretches[2:], strict=False):
        _to_whole_lines(*around)
    return list(_readable(stretches))


def is_cut(text: str) -> bool:
    """Whether only the beginning of this text can be compared."""
    return len(text) > MAX_CHARACTERS or next(islice(_WORD.finditer(text), MAX_WORDS, None), None) is not None


def _words(text: str) -> list[str]:
    return [match[0] for match in islice(_WORD.finditer(text[:MAX_CHARACTERS]), MAX_WORDS)]


def _numbered(*texts: Sequence[str]) -> list[list[int]]:
    """Words as numbers, equal ones alike: the comparison would hash every word again and again."""
    numbers: dict[str, int] = {}
    return [[numbers.setdefault(word, len(numbers)) for word in words] for words in texts]


def _to_whole_lines(before: _Stretch, change: _Stretch, after: _Stretch) -> None:
    """Move a change that could as well stand a few words further so that it begins where a line begins or ends.

    Of "- a.\\n- b.\\n" with "- c.\\n" put in, any three neighbouring words may be called new; a reader sees a line.
    """
    if (before.kind, after.kind) != ("same", "same") or change.kind == "same":
        return
    words, size = before.words + change.words + after.words, len(change.words)
    start = len(before.words)

    def is_at_a_line(place: int) -> bool:
        return place == 0 or "\n" in words[place] or "\n" in words[place - 1]

    further, back = start, start
    while not is_at_a_line(further) and further + size < len(words) and words[further] == words[further + size]:
        further += 1
    while not is_at_a_line(back) and words[back - 1] == words[back + size - 1]:
        back -= 1
    found = next((place for place in (further, back) if is_at_a_line(place)), start)
    before.words, change.words, after.words = words[:found], words[found : found + size], words[found + size :]


def _readable(stretches: Iterable[_Stretch]) -> Iterator[Piece]:
    """Neighbouring changes as one: all that went, then all that came. A lone space between two joins them."""
    removed: list[str] = []
    added: list[str] = []
    space: list[str] = []  # stayed, after a change: part of the next one if that follows at once
    for stretch in stretches:
        match stretch.kind:
            case _ if not stretch.words:
                continue
            case "removed" | "added":
                removed += space
                added += space
                space = []
                (removed if stretch.kind == "removed" else added).extend(stretch.words)
            case "same" if (removed or added) and stretch.words == [" "]:
                space = stretch.words
            case "same":
                yield from _changed(removed, added)
                yield Piece("same", "".join([*space, *stretch.words]))
                removed, added, space = [], [], []
    yield from _changed(removed, added)
    if space:
        yield Piece("same", "".join(space))


def _changed(removed: Sequence[str], added: Sequence[str]) -> Iterator[Piece]:
    if removed:
        yield Piece("removed", "".join(removed))
    if added:
        yield Piece("added", "".join(added))
