"""Intervals by resampling prompts: the bootstrap under every figure of agreement. Pure: arrays in, arrays out.

What annotators say about one prompt hangs together (its completions, its difficulty, who happened to get it), so it
is prompts that are drawn with replacement, never judgments (Field and Welsh 2007, "Bootstrapping clustered data").
A figure is told by sums over prompts, its sufficient statistics, and a function of those sums: then a replicate is
one product of a row of weights with the table of sums, and a thousand replicates of a hundred thousand judgments
take seconds. No published library of agreement works from sums; that is why the figures are our own.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import ndtr, ndtri

REPLICATES = 1000
SEED = 17
# More prompts than this are drawn in that many random bundles. A sum over bundles varies as the sum over their
# prompts does, so the interval is the same but for its own noise, and the cost stays the same for any project.
MAX_BUNDLES = 10_000
MIN_PROMPTS = 10  # from fewer, an interval would look much surer than it is
CELLS_AT_ONCE = 10_000_000  # sums in one product, against memory: fewer draws at once where there are many sums
SURE = 1.959964  # of the normal distribution: 95 %


@dataclass(frozen=True)
class Entries:
    """Addends of the sums: ``values`` of these ``columns`` that these ``prompts`` give, arrays of one length."""

    prompts: np.ndarray
    columns: np.ndarray
    values: np.ndarray


class Resampling:
    """A thousand seeded draws of prompts, the same for every figure that is computed with it."""

    def __init__(self, prompts: np.ndarray, *, replicates: int = REPLICATES, seed: int = SEED) -> None:
        """``prompts``: ids, repeated as they come; whatever is measured later must be of these."""
        self.ids = np.unique(prompts)
        rng = np.random.default_rng(seed)
        self.bundles = min(len(self.ids), MAX_BUNDLES)
        self._bundle_of = np.arange(len(self.ids))
        if len(self.ids) > MAX_BUNDLES:
            self._bundle_of = rng.permutation(len(self.ids)) % MAX_BUNDLES
        # (bundles, replicates): how often each was drawn
        self._weights = np.empty((self.bundles, replicates))
        for replicate in range(replicates):
            drawn = rng.integers(self.bundles, size=self.bundles)
            self._weights[:, replicate] = np.bincount(drawn, minlength=self.bundles)

    def estimates(
        self, entries: Iterable[Entries], columns: int, figure: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Value, lower and upper end of what ``figure`` makes of the sums: (3,) or (3, several).

        ``figure`` takes sums of shape (draws, columns) and gives (draws,) or (draws, several), NaN where it is not
        defined. The value is NaN where it is not defined for all prompts together, an end also where it is not
        defined in one draw of twenty.
        """
        sums = self._table(entries, columns).T.tocsr()
        whole = figure(np.asarray(sums.sum(axis=1)).reshape(1, -1))
        at_once = max(1, min(250, CELLS_AT_ONCE // max(columns, self.bundles)))
        drawn = np.concatenate(
            [
                figure((sums @ np.ascontiguousarray(self._weights[:, start : start + at_once])).T)
                for start in range(0, self._weights.shape[1], at_once)
            ]
        )
        return np.stack([whole[0], *_ends(drawn, whole[0])])

    def _table(self, entries: Iterable[Entries], columns: int) -> sparse.csr_matrix:
        """Sums by bundle, (bundles, columns). What falls on one place is added up."""
        table = sparse.csr_matrix((self.bundles, columns))
        for parts in _by_the_million(entries):
            prompts, cells, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
            bundles = self._bundle_of[np.searchsorted(self.ids, prompts)]
            table = table + sparse.coo_matrix((values, (bundles, cells)), shape=table.shape).tocsr()
        return table


def _by_the_million(entries: Iterable[Entries]) -> Iterator[list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """The entries' arrays in batches: adding to a sparse table costs a copy of it, holding all addends the memory."""
    batch, size = [], 0
    for part in entries:
        batch.append((part.prompts, part.columns, part.values))
        size += len(part.values)
        if size > 1_000_000:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _ends(drawn: np.ndarray, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bias-corrected percentile interval (Efron and Tibshirani 1993, section 14.3, without acceleration).

    Of each column of (draws,) or (draws, several). Chance agreement within few answers comes out too high in a draw,
    where answers repeat, so that plain percentiles of a kappa lie too low.
    """
    undefined = np.isnan(drawn)
    count = (~undefined).sum(axis=0)
    ordered = np.sort(np.where(undefined, np.inf, drawn), axis=0)
    last = np.maximum(count - 1, 0)
    with np.errstate(invalid="ignore"):
        below = ((drawn < whole).sum(axis=0) + (drawn == whole).sum(axis=0) / 2) / np.maximum(count, 1)
        shift = ndtri(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
        ends = []
        for sure in (-SURE, SURE):
            position = last * ndtr(2 * shift + sure)  # linear between neighbours, as in numpy.percentile
            lower = np.floor(position).astype(int)
            low, high = (_at(ordered, index) for index in (lower, np.minimum(lower + 1, last)))
            ends.append(np.where(count >= 0.95 * len(drawn), low + (high - low) * (position - lower), np.nan))
    return ends[0], ends[1]


def _at(ordered: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(ordered, np.expand_dims(index, 0), axis=0)[0] if ordered.ndim > 1 else ordered[index]
