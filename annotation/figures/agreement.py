"""How far annotators agree: Krippendorff's alpha, Cohen's and Fleiss's kappa, Kendall's tau. Pure: no database.

Our own arithmetic instead of a library's, because the intervals resample prompts (resampling.py) and so need every
figure as a function of sums over prompts. Tests hold it to ``krippendorff``, ``statsmodels`` and ``scipy``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from annotation.figures.panels import Judgments, Panel, pair_signs, panels_of
from annotation.figures.resampling import MIN_PROMPTS, Entries, Resampling

# Every place of every K from 2 to 9, as a whole number: 840 is divisible by 1 to 8.
LAST_PLACE = 1680
CATEGORIES = 3  # of a pair of completions: the second better, tie, the first better

NO_JUDGMENT = "There is no judgment yet."
ONE_ANNOTATOR = "Only one annotator has judged. Add another, and let both judge the same comparisons (overlap)."
NO_OVERLAP = "No comparison has been judged by two annotators yet. Raise the overlap in the settings."
NO_VARIATION = "Everybody gave the same answer everywhere: there is no chance agreement to compare it with."
MIN_SHARED = 20  # comparisons: within fewer, two annotators' chance agreement cannot be told
FEW_SHARED = f"No two annotators have {MIN_SHARED} comparisons in common with answers that vary. Fleiss's needs none."
ALL_TIED = "No two annotators have ranked a comparison without calling everything equal."
FEW_PROMPTS = f"Fewer than {MIN_PROMPTS} prompts were judged twice: too few for an interval."
UNSTABLE = "The answers vary too little for an interval."


@dataclass(frozen=True)
class Figure:
    """One figure with its 95 % interval over prompts; ``reason`` says why the figure, or its interval, is missing."""

    key: str
    value: float | None
    low: float | None
    high: float | None
    reason: str = ""


def figures_of(judgments: Judgments, resampling: Resampling) -> list[Figure]:
    """Every figure of agreement, in a fixed order."""
    panels = panels_of(judgments)
    reason = _why_undefined(judgments, panels)
    prompts = len(np.unique(np.concatenate([panel.prompts for panel in panels]))) if panels else 0
    figures = []
    for key, (measure, undefined) in MEASURES.items():
        if reason:
            figures.append(Figure(key, None, None, None, reason))
            continue
        value, low, high = measure(panels, resampling)
        figures.append(figure_from(key, value, low, high, prompts=prompts, undefined=undefined))
    return figures


def figure_from(key: str, value: float, low: float, high: float, *, prompts: int, undefined: str) -> Figure:
    """A figure from what was estimated: NaN becomes None, with the reason."""
    if np.isnan(value):
        return Figure(key, None, None, None, undefined)
    if prompts < MIN_PROMPTS:
        return Figure(key, float(value), None, None, FEW_PROMPTS)
    if np.isnan(low) or np.isnan(high):
        return Figure(key, float(value), None, None, UNSTABLE)
    return Figure(key, float(value), float(low), float(high))


def _why_undefined(judgments: Judgments, panels: Sequence[Panel]) -> str:
    if not len(judgments):
        return NO_JUDGMENT
    if len(np.unique(judgments.annotators)) == 1:
        return ONE_ANNOTATOR
    return "" if panels else NO_OVERLAP


def alpha(panels: Sequence[Panel], resampling: Resampling) -> np.ndarray:
    """Krippendorff's alpha with the ordinal metric (Krippendorff 2011, "Computing Krippendorff's alpha-reliability").

    The unit is one completion of one comparison, its value the place that an annotator gave it, counted from 0 for
    the best to 1 for the last: with one K these are the mid-ranks themselves, and with several the first of two
    is level with the first of nine.
    """
    parts, codes = [], [_codes(panel) for panel in panels]
    values = np.unique(np.concatenate([code.ravel() for code in codes]))
    size = len(values)
    for panel, code in zip(panels, codes, strict=True):
        index = np.searchsorted(values, code)
        for one, other in panel.judge_pairs:
            low, high = np.minimum(index[:, one], index[:, other]), np.maximum(index[:, one], index[:, other])
            parts.append((panel.prompts.repeat(panel.k), (low * size + high).ravel(), 1 / (panel.judges - 1)))
    used = np.unique(np.concatenate([cells for _, cells, _ in parts]))
    low, high = used // size, used % size
    ends = np.zeros((len(used), size))  # how many of a cell's two values are this one
    np.add.at(ends, (np.arange(len(used)), low), 1)
    np.add.at(ends, (np.arange(len(used)), high), 1)

    def figure(cells: np.ndarray) -> np.ndarray:
        counts = cells @ ends  # (draws, values)
        total = counts.sum(axis=1)
        # The ordinal distance of two values is that of the middles of their ranges in the pooled order.
        middles = np.cumsum(counts, axis=1) - counts / 2
        observed = 2 * (cells * (middles[:, high] - middles[:, low]) ** 2).sum(axis=1)
        mean = _ratio((counts * middles).sum(axis=1), total)
        expected = 2 * total * (counts * (middles - mean[:, None]) ** 2).sum(axis=1)
        return 1 - (total - 1) * _ratio(observed, expected)

    entries = (
        Entries(prompts, np.searchsorted(used, cells), np.full(len(cells), weight)) for prompts, cells, weight in parts
    )
    return resampling.estimates(entries, len(used), figure)


def _codes(panel: Panel) -> np.ndarray:
    """Places as whole numbers from 0, the best, to LAST_PLACE, whatever K is."""
    return (panel.places.astype(np.int64) - 2) * (LAST_PLACE // 2 // (panel.k - 1))


def agreement_share(panels: Sequence[Panel], resampling: Resampling) -> np.ndarray:
    """Of the pairs of completions that two annotators both placed, the share on which they say the same."""

    def entries() -> Iterator[Entries]:
        for panel, _, _, one, other in _meetings(panels):
            same = (one == other).sum(axis=1)
            yield from _by_column(panel.prompts, [same, np.full(len(same), one.shape[1])])

    return resampling.estimates(entries(), 2, lambda sums: _ratio(sums[:, 0], sums[:, 1]))


def kendall_tau(panels: Sequence[Panel], resampling: Resampling) -> np.ndarray:
    """The mean of Kendall's tau-b (Kendall 1945) over every two rankings of one comparison.

    Not defined where one of the two calls everything equal; such meetings are left out.
    """

    def entries() -> Iterator[Entries]:
        for panel, _, _, one, other in _meetings(panels):
            one, other = one.astype(float), other.astype(float)
            tau = _ratio((one * other).sum(axis=1), np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1)))
            defined = ~np.isnan(tau)
            yield from _by_column(panel.prompts, [np.nan_to_num(tau), defined])

    return resampling.estimates(entries(), 2, lambda sums: _ratio(sums[:, 0], sums[:, 1]))


def fleiss_kappa(panels: Sequence[Panel], resampling: Resampling) -> np.ndarray:
    """Fleiss's kappa (1971) for pairs of completions: the first better, tie, the second better.

    Fleiss's has the same number of raters everywhere. With several numbers, an item's agreement is still the share
    of its pairs of ratings that are equal, and both means, of agreement and of categories, are over items with two
    ratings or more, each item once (Gwet 2014, "Handbook of inter-rater reliability", 4th edition, section 2.5).
    """

    def entries() -> Iterator[Entries]:
        for panel in panels:
            signs = pair_signs(panel.places)  # (comparisons, judges, pairs)
            counts = np.stack([(signs == sign).sum(axis=1) for sign in (-1, 0, 1)], axis=-1)
            equal = (counts * (counts - 1)).sum(axis=(1, 2)) / (panel.judges * (panel.judges - 1))
            shares = counts.sum(axis=1) / panel.judges
            yield from _by_column(panel.prompts, [np.full(len(equal), signs.shape[2]), equal, *shares.T])

    def figure(sums: np.ndarray) -> np.ndarray:
        chance = _ratio(sums[:, 2:], sums[:, :1]) ** 2
        return _beyond_chance(_ratio(sums[:, 1], sums[:, 0]), chance.sum(axis=1))

    return resampling.estimates(entries(), 2 + CATEGORIES, figure)


def cohen_kappa(panels: Sequence[Panel], resampling: Resampling, *, min_shared: int = MIN_SHARED) -> np.ndarray:
    """Cohen's kappa (1960) for pairs of completions, pooled over every two annotators.

    Each two annotators have a table and a chance agreement of their own; observed and chance agreement are averaged
    over them, weighted by what they share, before the one is held against the other (De Vries et al. 2008, "Using
    pooled kappa", Field Methods 20). For two annotators it is Cohen's. A mean of kappas would be undone by one pair
    of annotators without variation. Left out are those who share fewer than ``min_shared`` comparisons.
    """
    couples, shared = np.unique(
        np.concatenate([panel.annotators[:, [one, other]] for panel in panels for one, other in panel.judge_pairs]),
        axis=0,
        return_counts=True,
    )
    couples = couples[shared >= min_shared]
    if not len(couples):
        return np.full(3, np.nan)
    order = {tuple(couple): index for index, couple in enumerate(couples.tolist())}
    width = 1 + 2 * CATEGORIES

    def entries() -> Iterator[Entries]:
        for panel, first, second, one, other in _meetings(panels):
            pairs = panel.annotators[:, [first, second]].tolist()
            start = np.array([order.get(tuple(pair), -1) for pair in pairs]) * width
            known = start >= 0
            sums = [(one == other).sum(axis=1)]
            sums += [(signs == sign).sum(axis=1) for signs in (one, other) for sign in (-1, 0, 1)]
            for column, values in enumerate(sums):
                yield Entries(panel.prompts[known], start[known] + column, values[known].astype(float))

    def figure(sums: np.ndarray) -> np.ndarray:
        tables = sums.reshape(len(sums), len(couples), width)
        one, other = tables[:, :, 1 : 1 + CATEGORIES], tables[:, :, 1 + CATEGORIES :]
        shared = one.sum(axis=2)
        # Twice over the same number: once for a share, once more for the weight of the two annotators.
        chance = np.nan_to_num(_ratio((one * other).sum(axis=2), shared)).sum(axis=1)
        total = shared.sum(axis=1)
        return _beyond_chance(_ratio(tables[:, :, 0].sum(axis=1), total), _ratio(chance, total))

    return resampling.estimates(entries(), len(couples) * width, figure)


Measure = Callable[[Sequence[Panel], Resampling], np.ndarray]
# In the order of the page; beside each, why it may be undefined although annotators meet.
MEASURES: dict[str, tuple[Measure, str]] = {
    "alpha": (alpha, NO_VARIATION),
    "fleiss": (fleiss_kappa, NO_VARIATION),
    "cohen": (cohen_kappa, FEW_SHARED),
    "tau": (kendall_tau, ALL_TIED),
    "share": (agreement_share, NO_OVERLAP),
}


def _meetings(panels: Sequence[Panel]) -> Iterator[tuple[Panel, int, int, np.ndarray, np.ndarray]]:
    """Every two judges of each panel, and what each of them says of each pair: (comparisons, pairs) of signs."""
    for panel in panels:
        signs = pair_signs(panel.places)
        for first, second in panel.judge_pairs:
            yield panel, first, second, signs[:, first], signs[:, second]


def _by_column(prompts: np.ndarray, columns: Sequence[np.ndarray]) -> Iterator[Entries]:
    for column, values in enumerate(columns):
        yield Entries(prompts, np.full(len(prompts), column), values.astype(float))


def _ratio(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """NaN, and no warning, where ``lower`` is zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.abs(lower) > 1e-12, np.divide(upper, lower), np.nan)


def _beyond_chance(observed: np.ndarray, chance: np.ndarray) -> np.ndarray:
    return _ratio(observed - chance, 1 - chance)
