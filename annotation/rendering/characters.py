"""Characters that deceive: invisible ones, those that turn the text around, towers of marks. Pure.

In a rendered text they are taken out; in a raw text they are spelt out, so that what is read is what is there.
What writing systems and emoji need stays: single joiners, a few marks on a letter, the flags that are made of tags.
"""

import re
import unicodedata
from collections.abc import Iterable

# Characters that turn the direction of what follows: with them a text can look like another one.
BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# Controls other than tab and line ends; zero-width spaces, fillers, tags: a text can be hidden in them.
CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
ZERO_WIDTH = "\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
TAGS = "\U000e0000-\U000e007f"
MARKS_KEPT = 6  # on one letter; Tibetan and Hebrew with its accents come close


def _character_class(characters: Iterable[str]) -> str:
    """The inside of a regular expression's brackets, as ranges."""
    ranges: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in ranges)


MARKS = _character_class(chr(code) for code in range(0x300, 0xFFFF) if unicodedata.category(chr(code)) in ("Mn", "Me"))
_FLAG = "\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{2,6}\U000e007f"
_INVISIBLE = re.compile(f"(?P<flag>{_FLAG})|[{BIDI}{CONTROLS}{ZERO_WIDTH}{TAGS}]+|[\u200c\u200d]{{2,}}")
_TOWER = re.compile(f"(?P<kept>[{MARKS}]{{{MARKS_KEPT}}})(?P<more>[{MARKS}]+)")
_PLAIN = re.compile("[\t\n\r\x20-\x7e]*")


def spell_out(text: str) -> str:
    """The text with what deceives in it named: "pay[U+202E]live"."""
    if _PLAIN.fullmatch(text):
        return text
    text = _TOWER.sub(lambda match: f"{match['kept']}[{len(match['more']):,} more marks]", _storable(text))
    return _INVISIBLE.sub(lambda match: match["flag"] or _named(match[0]), text)


def take_out(text: str) -> str:
    """The text without what deceives in it."""
    if _PLAIN.fullmatch(text):
        return text
    return _INVISIBLE.sub(lambda match: match["flag"] or "", _TOWER.sub(r"\g<kept>", _storable(text)))


def _named(run: str) -> str:
    if len(run) <= 3:
        return "".join(f"[U+{ord(character):04X}]" for character in run)
    # A flood of them is counted, or the page would grow eightfold.
    kinds = ", ".join(f"U+{ord(character):04X}" for character in sorted(set(run))[:5])
    return f"[{len(run):,} invisible characters: {kinds}]"


def _storable(text: str) -> str:
    """Half of a surrogate pair is no character, and could not even be sent."""
    return text.encode("utf-8", "replace").decode()
