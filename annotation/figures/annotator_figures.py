"""What tells how an annotator works: pace, agreement, known answers, habits. Pure: arrays in, plain values out.

Every figure has a 95 % interval and, where there is one, the value that it is held against: chance for what is drawn
at random, the other annotators for the rest. What deserves a warning is decided in annotator_warnings.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations

import numpy as np

from annotation.figures.intervals import Shares, clustered_shares, difference, median, of_most_others, plain_shares
from annotation.figures.panels import Judgments, Panel, pair_signs, panels_of
from annotation.figures.resampling import MIN_PROMPTS, Entries, Resampling

CHARACTERS_A_WORD = 6  # five and a space, as typists count; languages that write fewer are judged more leniently
LENGTHS_DIFFER = 1.1  # one completion is the longer one when it has a tenth more characters than the other
TIMES = (5, 10, 20, 40, 80, 160, 320)  # seconds between the bars of the distribution
DAYS = 60  # the last ones of an annotator that are kept


@dataclass(frozen=True)
class Answers:
    """Rows of Judgments with what else is known of them, in arrays of the same length.

    ``displayed``: as ``places``, in the order of display; all 0 where that is not known, as of what was judged
    elsewhere. ``lengths``: characters, in the order of ``places``.
    """

    judgments: Judgments
    displayed: np.ndarray
    lengths: np.ndarray
    seconds: np.ndarray  # NaN where it was not measured
    days: np.ndarray  # datetime.date.toordinal


@dataclass(frozen=True)
class KnownAnswers:
    """Judgments of gold comparisons, one row each: how many of the pairs with a known answer are right."""

    annotators: np.ndarray
    comparisons: np.ndarray
    right: np.ndarray
    pairs: np.ndarray


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, from ``rows`` judgments.

    ``expected`` is what it is held against, and ``gap_low`` to ``gap_high`` the interval of the difference.
    """

    value: float
    low: float | None
    high: float | None
    rows: int
    expected: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None


@dataclass(frozen=True)
class AnnotatorFigures:
    annotator: int
    judgments: int
    pairwise: bool  # never more than two completions side by side
    seconds: Estimate | None = None  # median for one judgment
    pace: Estimate | None = None  # median of the displayed words a minute
    agreement: Estimate | None = None  # with the others; expected: theirs among themselves
    same_way: Estimate | None = None  # where both decide, the share that decides the same way
    gold: Estimate | None = None  # pairs with a known answer that are right
    first: Estimate | None = None  # what is displayed first comes out on top; expected: chance
    longer: Estimate | None = None  # the longer of two is preferred; expected: by most others
    ties: Estimate | None = None  # pairs called equal; expected: by most others
    skips: Estimate | None = None  # of what was handed out; expected: by most others
    times: Sequence[int] = ()  # judgments between the TIMES
    positions: Sequence[float] = ()  # share on top by displayed position, at the commonest K
    by_day: Mapping[str, int] = field(default_factory=dict)


def figures_by_annotator(
    answers: Answers,
    resampling: Resampling,
    *,
    gold: KnownAnswers,
    submitted: Mapping[int, int],
    skipped: Mapping[int, int],
) -> list[AnnotatorFigures]:
    """The figures of everybody who judged or skipped, by annotator id. Counts of assignments by annotator id."""
    rows = answers.judgments
    ids = np.unique(np.concatenate([rows.annotators, np.fromiter(skipped, np.int64, len(skipped))]))
    index = np.searchsorted(ids, rows.annotators)
    columns = {
        **_agreement(panels_of(rows), ids, resampling),
        "gold": _gold(gold, ids),
        "first": _first(answers, index, len(ids)),
        "longer": _held_against_others(clustered_shares(*_longer(answers), index, rows.prompts, len(ids))),
        "ties": _held_against_others(clustered_shares(*_ties(rows), index, rows.prompts, len(ids))),
        "skips": _skips(ids, submitted, skipped),
    }
    own = _rows_by_annotator(index, len(ids))
    return [
        AnnotatorFigures(
            annotator=int(annotator),
            judgments=len(mine),
            pairwise=bool(((rows.places[mine] > 0).sum(axis=1) <= 2).all()),
            **_times(answers, mine),
            **{name: column[number] for name, column in columns.items()},
            positions=_positions(answers.displayed[mine]),
        )
        for number, (annotator, mine) in enumerate(zip(ids, own, strict=True))
    ]


def _rows_by_annotator(index: np.ndarray, count: int) -> list[np.ndarray]:
    order = np.argsort(index, kind="stable")
    return np.split(order, np.cumsum(np.bincount(index, minlength=count))[:-1])


def _agreement(panels: Sequence[Panel], ids: np.ndarray, resampling: Resampling) -> dict[str, list[Estimate | None]]:
    """Each annotator against the others of the same comparisons, and those others among themselves elsewhere too."""
    count = len(ids)
    parts: list[Entries] = []
    met = np.zeros(count, int)
    for panel in panels:
        signs, who = pair_signs(panel.places), np.searchsorted(ids, panel.annotators)
        for judge in range(panel.judges):
            met += np.bincount(who[:, judge], minlength=count)
        for one, other in panel.judge_pairs:
            parts += _meeting_entries(panel, who, one, other, signs, count)
    if not parts:
        return {"agreement": [None] * count, "same_way": [None] * count}
    prompts_met = _prompts_met(panels, ids)
    estimated = resampling.estimates(parts, 4 * count + 2, lambda sums: _agreement_figure(sums, count))
    share, gap, way = np.split(estimated, 3, axis=1)  # each (3, annotators): value, low, high
    return {
        "agreement": [_resampled(share, gap, n, met[n], prompts_met[n]) for n in range(count)],
        "same_way": [_resampled(way, None, n, met[n], prompts_met[n]) for n in range(count)],
    }


def _meeting_entries(panel, who, one, other, signs, count) -> list[Entries]:
    """Sums for each annotator, (same, pairs, same way, both decided), and the first two of everybody at the end."""
    first, second = signs[:, one], signs[:, other]
    both = (first != 0) & (second != 0)
    same = first == second
    sums = [same.sum(axis=1), np.full(len(first), first.shape[1]), (same & both).sum(axis=1), both.sum(axis=1)]
    entries = []
    for number, values in enumerate(sums):
        entries += [Entries(panel.prompts, who[:, judge] * 4 + number, values * 1.0) for judge in (one, other)]
    for number in (0, 1):
        entries.append(Entries(panel.prompts, np.full(len(first), 4 * count + number), sums[number] * 1.0))
    return entries


def _agreement_figure(sums: np.ndarray, count: int) -> np.ndarray:
    """(draws, 3 * annotators): agreement, its distance to the others' among themselves, decisions the same way."""
    own = sums[:, : 4 * count].reshape(len(sums), count, 4)
    same, pairs, same_way, decided = (own[:, :, part] for part in range(4))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(pairs > 0, same / pairs, np.nan)
        rest = sums[:, [4 * count + 1]] - pairs
        among = np.where(rest > 0, (sums[:, [4 * count]] - same) / rest, np.nan)
        way = np.where(decided > 0, same_way / decided, np.nan)
    return np.concatenate([share, share - among, way], axis=1)


def _prompts_met(panels: Sequence[Panel], ids: np.ndarray) -> np.ndarray:
    cells = [
        np.stack([np.searchsorted(ids, panel.annotators).ravel(), panel.prompts.repeat(panel.judges)]).T
        for panel in panels
    ]
    return np.bincount(np.unique(np.concatenate(cells), axis=0)[:, 0], minlength=len(ids))


def _resampled(figure: np.ndarray, gap: np.ndarray | None, n: int, rows: int, prompts: int) -> Estimate | None:
    """One annotator's estimate out of (3, annotators) of value and ends."""
    value, low, high = (_number(end) for end in figure[:, n])
    if value is None:
        return None
    if prompts < MIN_PROMPTS:
        return Estimate(value, None, None, int(rows))
    distance, gap_low, gap_high = (None,) * 3 if gap is None else (_number(end) for end in gap[:, n])
    expected = None if distance is None else value - distance
    return Estimate(value, low, high, int(rows), expected, gap_low, gap_high)


def _gold(gold: KnownAnswers, ids: np.ndarray) -> list[Estimate | None]:
    known = np.isin(gold.annotators, ids)
    index = np.searchsorted(ids, gold.annotators[known])
    return _estimates(
        clustered_shares(gold.right[known], gold.pairs[known], index, gold.comparisons[known], len(ids))
    )  # fmt: skip


def _first(answers: Answers, index: np.ndarray, count: int) -> list[Estimate | None]:
    """How often what is displayed first comes out on top. A tie at the top is shared among those in it."""
    known = answers.displayed[:, 0] > 0
    displayed, index, prompts = answers.displayed[known], index[known], answers.judgments.prompts[known]
    k = (displayed > 0).sum(axis=1)
    on_top = _on_top(displayed)
    decided = on_top.max(axis=1) > 1 / k + 1e-9  # calling all of them equal puts none on top
    shares = clustered_shares(on_top[:, 0] * decided, decided * 1.0, index, prompts, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = np.bincount(index, decided / k, minlength=count) / np.bincount(index, decided, minlength=count)
    return _estimates(shares, chance, (shares.low - chance, shares.high - chance))


def _on_top(displayed: np.ndarray) -> np.ndarray:
    """(judgments, 9): 1 for what is on top, shared where several are."""
    best = np.where(displayed > 0, displayed, 127).min(axis=1, keepdims=True)
    top = displayed == best
    return top / top.sum(axis=1, keepdims=True)


def _longer(answers: Answers) -> tuple[np.ndarray, np.ndarray]:
    """By judgment: how often the clearly longer of two is preferred, of how many such pairs that are decided."""
    places, lengths = answers.judgments.places, answers.lengths
    preferred, decided = np.zeros(len(places)), np.zeros(len(places))
    for first, second in combinations(range(places.shape[1]), 2):
        one, other = lengths[:, first], lengths[:, second]
        longer = np.where(one > LENGTHS_DIFFER * other, 1, np.where(other > LENGTHS_DIFFER * one, -1, 0))
        better = np.sign(places[:, second] - places[:, first])
        counts = (places[:, second] > 0) & (longer != 0) & (better != 0)
        decided += counts
        preferred += counts & (longer == better)
    return preferred, decided


def _ties(rows: Judgments) -> tuple[np.ndarray, np.ndarray]:
    """By judgment: pairs called equal, of how many."""
    tied, pairs = np.zeros(len(rows)), np.zeros(len(rows))
    for first, second in combinations(range(rows.places.shape[1]), 2):
        there = rows.places[:, second] > 0
        tied += there & (rows.places[:, first] == rows.places[:, second])
        pairs += there
    return tied, pairs


def _skips(ids: np.ndarray, submitted: Mapping[int, int], skipped: Mapping[int, int]) -> list[Estimate | None]:
    skips = np.array([skipped.get(int(annotator), 0) for annotator in ids], float)
    return _held_against_others(
        plain_shares(skips, skips + np.array([submitted.get(int(annotator), 0) for annotator in ids]))
    )


def _held_against_others(shares: Shares) -> list[Estimate | None]:
    others = of_most_others(shares)
    return _estimates(shares, others.value, difference(shares, others))


def _estimates(shares: Shares, expected=None, gap=None) -> list[Estimate | None]:
    def one(n: int) -> Estimate | None:
        if (value := _number(shares.value[n])) is None:
            return None
        against = [_number(ends[n]) for ends in (expected, *gap)] if expected is not None else []
        return Estimate(value, _number(shares.low[n]), _number(shares.high[n]), int(shares.rows[n]), *against)

    return [one(n) for n in range(len(shares.value))]


def _times(answers: Answers, mine: np.ndarray) -> dict:
    """Median time, median pace, the distribution of times, and judgments by day of one annotator's rows."""
    seconds = answers.seconds[mine]
    measured = seconds > 0  # NaN is not
    words = answers.lengths[mine].sum(axis=1) / CHARACTERS_A_WORD
    days, counts = np.unique(answers.days[mine], return_counts=True)
    return {
        "seconds": _median(seconds[measured]),
        "pace": _median(words[measured] * 60 / seconds[measured]),
        "times": np.bincount(
            np.searchsorted(TIMES, seconds[measured], side="right"), minlength=len(TIMES) + 1
        ).tolist(),
        "by_day": {
            date.fromordinal(int(day)).isoformat(): int(count)
            for day, count in list(zip(days, counts, strict=True))[-DAYS:]
        },
    }


def _median(values: np.ndarray) -> Estimate | None:
    if found := median(values):
        return Estimate(*found, rows=len(values))
    return Estimate(float(np.median(values)), None, None, len(values)) if len(values) else None


def _positions(displayed: np.ndarray) -> list[float]:
    displayed = displayed[displayed[:, 0] > 0]
    if not len(displayed):
        return []
    k = (displayed > 0).sum(axis=1)
    commonest = int(np.bincount(k).argmax())
    return [round(float(share), 4) for share in _on_top(displayed[k == commonest]).mean(axis=0)[:commonest]]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
