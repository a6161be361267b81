"""Aspects and defects as a manager writes them: one a line. Pure: no database, no request.

Helpfulness: 0 to 4 (not at all .. perfectly)
Correctness: 1 to 5
Coherence
"""

import re
from collections.abc import Iterable, Mapping

from annotation.rules.protocol import MAX_ASPECTS, MAX_DEFECTS, Aspect, Defect, ProtocolError, key_of

LONGEST_LABEL = 80
EXAMPLE = "Helpfulness: 0 to 4 (not at all .. perfectly)"

ASPECT = re.compile(
    r"""^(?P<label>[^:]+?)\s*
    (?: : \s* (?P<lowest>-?\d+) \s* (?: to | - | \u2013 | \.\. ) \s* (?P<highest>-?\d+) \s*
        (?: \( \s* (?P<low>[^()]*?) \s* (?: \.\. | … ) \s* (?P<high>[^()]*?) \s* \) )? )?$""",
    re.VERBOSE | re.IGNORECASE,
)


class LinesError(ProtocolError):
    """What is wrong, line by line. The messages are for the manager."""

    def __init__(self, messages: Iterable[str]) -> None:
        self.messages = list(messages)
        super().__init__(" ".join(self.messages))


def text_of_aspects(aspects: Iterable[Aspect]) -> str:
    return "\n".join(map(line_of_aspect, aspects))


def line_of_aspect(aspect: Aspect) -> str:
    ends = f" ({aspect.low_label} .. {aspect.high_label})" if aspect.low_label or aspect.high_label else ""
    return f"{aspect.label}: {aspect.lowest} to {aspect.highest}{ends}"


def text_of_defects(defects: Iterable[Defect]) -> str:
    return "\n".join(defect.label for defect in defects)


def aspects_from_text(text: str, known: Iterable[Aspect] = ()) -> list[Aspect]:
    """The aspects of these lines. One of ``known`` keeps its key, by which its answers are kept. Raises LinesError."""
    keys = _Keys({aspect.label: aspect.key for aspect in known}, "aspect")

    def aspect_of(line: str) -> Aspect:
        found = ASPECT.match(line)
        if found is None:
            raise ProtocolError(f'"{line}" cannot be read. Write it like this: {EXAMPLE}')
        scale = {}
        if found["lowest"]:
            scale = {"lowest": int(found["lowest"]), "highest": int(found["highest"])}
        ends = {"low_label": found["low"] or "", "high_label": found["high"] or ""}
        return Aspect(keys.take(found["label"]), found["label"], **scale, **ends)

    return _each_line(text, aspect_of, MAX_ASPECTS, "aspects")


def defects_from_text(text: str, known: Iterable[Defect] = ()) -> list[Defect]:
    """The defects of these lines, each a name of its own. Raises LinesError."""
    keys = _Keys({defect.label: defect.key for defect in known}, "defect")
    return _each_line(text, lambda line: Defect(keys.take(line), line), MAX_DEFECTS, "defects")


def _each_line(text: str, read, most: int, name: str) -> list:
    found, wrong = [], []
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    for number, line in lines:
        try:
            found.append(read(line))
        except ProtocolError as error:
            wrong.append(f"Line {number}: {error}")
    if len(lines) > most:
        wrong.append(f"These are {len(lines)} {name}; ask for at most {most}.")
    if wrong:
        raise LinesError(wrong)
    return found


class _Keys:
    """One key for each label of a list; a label that comes twice, or reads like another one, is refused."""

    def __init__(self, known: Mapping[str, str], word: str) -> None:
        self.known = known
        self.word = word
        self.taken: dict[str, str] = {}

    def take(self, label: str) -> str:
        if len(label) > LONGEST_LABEL:
            raise ProtocolError(f'"{label[:30]}..." has {len(label)} letters; use at most {LONGEST_LABEL}.')
        key = self.known.get(label) or key_of(label) or self._numbered()
        if key in self.taken:
            raise ProtocolError(f'"{label}" reads like "{self.taken[key]}". Give each one a name of its own.')
        self.taken[key] = label
        return key

    def _numbered(self) -> str:
        """For a name without a Latin letter, of which key_of leaves nothing."""
        used = {*self.taken, *self.known.values()}
        return next(key for n in range(1, 100) if (key := f"{self.word}_{n}") not in used)
