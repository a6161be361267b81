"""Which of a million texts does this one resemble? An index of MinHash sketches, by bands (locality-sensitive hashing).

A sketch is 128 hashes; the share in which two sketches agree estimates how far their texts resemble each other. It is
cut into bands; texts of which a band is equal are candidates, and only those are compared (Leskovec, Rajaraman, Ullman:
Mining of Massive Datasets, 3.4). Kept in plain arrays, about 0.6 kB a text with 16 bands, where an index of objects
takes 1.5 to 3: sorted runs of (key, row) that are merged as they grow, as in a log-structured merge tree.

What it finds depends on the texts and their order only, not on how many come at once.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

HASHES = 128
SETTLED_AFTER = 1024  # rows: those since are looked up in a dictionary
BLOCK = 1 << 16  # sketches in one piece of memory
MOST_MERGED = 1 << 22  # entries of a run: merging longer ones would take a great deal of memory for a moment
MOST_CANDIDATES = 64  # of one band and run: texts by the thousand that share a beginning must not all be compared
LEAST_RECALL = 0.94  # of texts that are just as alike as the threshold
BAND_LENGTHS = (16, 8, 4, 2)


def band_length(threshold: float) -> int:
    """How many hashes make a band: as many as find, at the threshold, nearly all."""
    for length in BAND_LENGTHS:
        bands = HASHES // length
        if 1 - (1 - threshold**length) ** bands >= LEAST_RECALL:
            return length
    return BAND_LENGTHS[-1]


class Sketches:
    """Sketches of texts that differ from each other, with the line of each."""

    def __init__(self, threshold: float) -> None:
        import numpy  # only where texts are compared: web processes have no use for it

        self._np = numpy
        self._least_equal = threshold * HASHES - 1e-9
        self._length = band_length(threshold)
        self._blocks: list[Any] = []  # of (BLOCK, HASHES) uint16: the low halves, which tell hashes apart well enough
        self._lines = array("q")
        self._runs: list[tuple[Any, Any]] = []  # (sorted keys, their rows)
        self._recent: dict[int, list[int]] = {}  # key -> rows that are in no run yet
        self._recent_keys: list[Any] = []
        self._recent_from = 0
        self._seen = 0

    def first_alike(self, sketches: Sequence[Sequence[int]], lines: Sequence[int]) -> Iterator[int | None]:
        """For each sketch in turn the line of the earliest one that it resembles; one that resembles none is added."""
        start = 0
        while start < len(lines):
            end = min(len(lines), start + SETTLED_AFTER - self._seen % SETTLED_AFTER)
            yield from self._together(sketches[start:end], lines[start:end])
            start = end

    def _together(self, sketches: Sequence[Sequence[int]], lines: Sequence[int]) -> Iterator[int | None]:
        whole = self._np.array(sketches, dtype=self._np.uint64)  # (texts, HASHES)
        keys = self._keys(whole)  # (texts, bands)
        halves = whole.astype(self._np.uint16)
        settled = self._in_runs(keys)
        for place, (half, of_bands, line) in enumerate(zip(halves, keys.tolist(), lines, strict=True)):
            candidates = settled.get(place, set())
            for key in of_bands:
                candidates.update(self._recent.get(key, ()))
            row = self._alike(half, sorted(candidates))
            if row is None:
                self._add(half, keys[place], of_bands, line)
            yield None if row is None else self._lines[row]
        self._seen += len(lines)
        if self._seen % SETTLED_AFTER == 0:
            self._settle()

    def _keys(self, whole: Any) -> Any:
        """One number for each band, by its hashes and its place."""
        np = self._np
        bands = whole.reshape(len(whole), -1, self._length)
        keys = np.zeros_like(bands[:, :, 0]) + np.arange(bands.shape[1], dtype=np.uint64)
        for place in range(self._length):
            keys = (keys ^ bands[:, :, place]) * np.uint64(0xFF51AFD7ED558CCD)
            keys ^= keys >> np.uint64(33)
        return keys

    def _in_runs(self, keys: Any) -> dict[int, set[int]]:
        """By place among the texts, the rows of which a band is equal."""
        np = self._np
        flat = keys.ravel()
        order = np.argsort(flat)
        wanted = flat[order]
        found: dict[int, set[int]] = {}
        for run_keys, run_rows in self._runs:
            starts = np.searchsorted(run_keys, wanted)
            inside = starts < len(run_keys)
            hits = np.flatnonzero(inside)[run_keys[starts[inside]] == wanted[inside]]
            for hit in hits.tolist():
                start = int(starts[hit])
                some = run_keys[start : start + MOST_CANDIDATES]
                count = int(np.searchsorted(some, wanted[hit], side="right"))
                place = int(order[hit]) // keys.shape[1]
                found.setdefault(place, set()).update(run_rows[start : start + count].tolist())
        return found

    def _alike(self, half: Any, rows: list[int]) -> int | None:
        for row in rows:
            block = self._blocks[row // BLOCK]
            if self._np.count_nonzero(block[row % BLOCK] == half) >= self._least_equal:
                return row
        return None

    def _add(self, half: Any, keys: Any, of_bands: list[int], line: int) -> None:
        row = len(self._lines)
        if row % BLOCK == 0:
            self._blocks.append(self._np.empty((BLOCK, HASHES), dtype=self._np.uint16))
        self._blocks[-1][row % BLOCK] = half
        self._lines.append(line)
        self._recent_keys.append(keys)
        for key in of_bands:
            self._recent.setdefault(key, []).append(row)

    def _settle(self) -> None:
        """Sort what is recent into a run, and merge runs of about one size, so that there are few to look through."""
        np = self._np
        if self._recent_keys:
            keys = np.concatenate(self._recent_keys)
            rows = np.arange(self._recent_from, len(self._lines), dtype=np.uint32).repeat(HASHES // self._length)
            self._runs.append(_sorted(np, keys, rows))
        self._recent, self._recent_keys, self._recent_from = {}, [], len(self._lines)
        while len(self._runs) > 1:
            (longer, _), (shorter, _) = self._runs[-2:]
            if len(longer) > 2 * len(shorter) or len(longer) + len(shorter) > MOST_MERGED:
                break
            pair = [self._runs.pop(-2), self._runs.pop()]
            self._runs.append(_sorted(np, *(np.concatenate(parts) for parts in zip(*pair, strict=True))))


def _sorted(np: Any, keys: Any, rows: Any) -> tuple[Any, Any]:
    order = np.argsort(keys, kind="stable")  # which keeps rows of one key in their order
    return keys[order], rows[order]
