"""Rows whose text is nearly that of an earlier row, by MinHash (rensa) and an index of sketches (`sketches`).

Two texts resemble each other as far as their sets of short pieces (n-grams) overlap: the Jaccard index, estimated
from 128 hashes with a standard error of 0.035 at 0.8 (sqrt(0.8 * 0.2 / 128)), so that a pair just around the threshold
may fall on either side. About 0.6 kB of memory for each row that is kept.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sampling.curation.filters.base import Fate, Filter, Numbered, Surroundings, texts_of
from sampling.curation.filters.copies import normalised
from sampling.curation.filters.sketches import HASHES, Sketches
from sampling.curation.parameters import Choice, Number

MOST_CHARACTERS = 20_000  # of a text: what stands behind them is not compared
WORDS = re.compile(r"\w+")
AS_COMPARED = {"ignore_case": True, "ignore_spaces": True, "ignore_forms": True}


class NearCopies(Filter):
    """Keeps the first of rows that resemble each other: rows that are kept all differ by more than the threshold."""

    key = "near_duplicates"
    label = "Near-duplicates"
    what = "Removes a row whose text is nearly that of an earlier row that stays; exact copies too."
    remembers = True
    parameters = (
        Choice(
            "of",
            "Which text",
            default="prompt",
            choices=(("prompt", "the prompt"), ("whole", "prompt and completions"), ("completions", "completions")),
            help="Not for a file with one row for each annotator: rows of one comparison are copies of each other.",
        ),
        Number(
            "threshold",
            "Alike from",
            default=0.8,
            low=0.3,
            high=1,
            whole=False,
            is_always_told=True,
            help="Share of pieces in common, from 0.3 to 1; 0.8 finds texts that differ in a few words.",
        ),
        Choice(
            "pieces",
            "Pieces",
            default="characters",
            choices=(("characters", "characters in a row"), ("words", "words in a row")),
            help="Characters suit every script; words are faster where they are set apart by spaces.",
        ),
        Number("length", "Length of a piece", default=5, low=1, high=20, help="In characters or words."),
    )

    def __init__(self, told: Mapping[str, Any], surroundings: Surroundings) -> None:
        super().__init__(told, surroundings)
        self._pieces = _characters if told["pieces"] == "characters" else _words
        self._kept: Sketches | None = None

    def restart(self) -> None:
        self._kept = None

    def judge_all(self, rows: Sequence[Numbered]) -> list[Fate]:
        import rensa  # a library of machine code that web processes have no use for

        if self._kept is None:
            self._kept = Sketches(self.told["threshold"])
        fates: list[Fate] = [record for _, record in rows]
        texts = [normalised(texts_of(record, self.told["of"])[:MOST_CHARACTERS], AS_COMPARED) for _, record in rows]
        places = [place for place, text in enumerate(texts) if text]  # what is not there resembles nothing
        sketches = rensa.RMinHash.digests_from_token_sets(
            [self._pieces(texts[place], self.told["length"]) for place in places], num_perm=HASHES, seed=self.seed
        )
        lines = [rows[place][0] for place in places]
        for place, line in zip(places, self._kept.first_alike(sketches, lines), strict=True):
            if line is not None:
                fates[place] = f"Nearly the same as row {line}."
        return fates


def _characters(text: str, length: int) -> list[str]:
    """Every run of so many characters; a text that is no longer is one piece."""
    return [text[start : start + length] for start in range(max(1, len(text) - length + 1))]


def _words(text: str, length: int) -> list[str]:
    words = WORDS.findall(text) or [text]
    return [" ".join(words[start : start + length]) for start in range(max(1, len(words) - length + 1))]
