"""95 % intervals of shares, of their differences and of medians, in closed form. Pure: arrays in, arrays out."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

Z = NormalDist().inv_cdf(0.975)
APART = 0.10  # a share whose whole interval lies this far from the middle one is no measure for the others


@dataclass(frozen=True)
class Shares:
    """A share for each of several groups (annotators), with its interval; NaN for a group without a row.

    ``weight`` is how many independent observations the share is worth, ``rows`` how many rows it comes from.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    rows: np.ndarray


def wilson(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval (1927) of ``share`` out of ``n``, which need not be whole: (low, high)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = 1 + Z**2 / n
        middle = (share + Z**2 / (2 * n)) / scale
        half = Z / scale * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def clustered_shares(
    part: np.ndarray, whole: np.ndarray, groups: np.ndarray, clusters: np.ndarray, count: int
) -> Shares:
    """For each group 0 to ``count`` - 1: sum of ``part`` over sum of ``whole``, rows of one cluster hanging together.

    The interval is Wilson's with the effective number of observations: as many as would have the variance that the
    clusters show (Kish 1965, design effect), at most as many as there are. Where all clusters say the same, their
    number.
    """
    _, cluster = np.unique(clusters, return_inverse=True)
    cells, cell = np.unique(groups.astype(np.int64) * (len(clusters) + 1) + cluster, return_inverse=True)
    group = cells // (len(clusters) + 1)
    parts, wholes = np.bincount(cell, part), np.bincount(cell, whole)
    total = np.bincount(group, wholes, minlength=count)
    filled = np.bincount(group, wholes > 0, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.bincount(group, parts, minlength=count) / total
        errors = np.bincount(group, (parts - share[group] * wholes) ** 2, minlength=count)
        variance = errors / total**2 * filled / (filled - 1)
        worth = np.where(variance > 0, share * (1 - share) / variance, total)
        # One cluster alone shows no variance at all; and one answer everywhere shows none either.
        worth = np.where((filled < 2) | (share <= 0) | (share >= 1), filled, np.minimum(worth, total))
    rows = np.bincount(groups, whole > 0, minlength=count).astype(int)
    low, high = wilson(share, worth)
    return Shares(share, low, high, worth, rows)


def plain_shares(part: np.ndarray, whole: np.ndarray) -> Shares:
    """Counts ``part`` out of counts ``whole``, one of each for every group, every row independent."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = part / whole
    return Shares(share, *wilson(share, whole), weight=whole, rows=whole.astype(int))


def of_most_others(shares: Shares) -> Shares:
    """For each group the share of most other groups together, each by its weight.

    Left out is who lies clearly apart from the middle group: one outlier would draw the mean of all toward itself,
    and those who do as most do would seem to lean the other way. Where that leaves nobody, it is all the others.
    """
    value, weight = np.nan_to_num(shares.value), np.nan_to_num(shares.weight)
    middle = _weighted_median(value, weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = (shares.low > middle + APART) | (shares.high < middle - APART)
        near = np.where(apart, 0, weight)
        is_alone = near.sum() - near <= 1e-9
        part, others = (
            np.where(is_alone, each.sum() - each, kept.sum() - kept)
            for each, kept in ((value * weight, value * near), (weight, near))
        )
        share = np.where(others > 1e-9, np.clip(part / others, 0, 1), np.nan)
    return Shares(share, *wilson(share, others), weight=others, rows=shares.rows.sum() - shares.rows)


def _weighted_median(values: np.ndarray, weight: np.ndarray) -> float:
    """The value of the group in which half of all weight is reached; 0 where there is no weight."""
    order = np.argsort(values, kind="stable")
    reached = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    return float(values[order][min(reached, len(values) - 1)]) if len(values) else 0.0


def difference(one: Shares, other: Shares) -> tuple[np.ndarray, np.ndarray]:
    """The interval of ``one`` minus ``other`` from their Wilson intervals (Newcombe 1998, method 10)."""
    gap = one.value - other.value
    low = gap - np.sqrt((one.value - one.low) ** 2 + (other.high - other.value) ** 2)
    high = gap + np.sqrt((one.high - one.value) ** 2 + (other.value - other.low) ** 2)
    return low, high


def median(values: np.ndarray) -> tuple[float, float, float] | None:
    """The median and the order statistics around it (Campbell and Gardner 1988); None for fewer than six values."""
    n = len(values)
    if n < 6:
        return None
    ordered = np.sort(values)
    place = round(n / 2 - Z * n**0.5 / 2)  # counted from 1, from either end
    return float(np.median(ordered)), float(ordered[place - 1]), float(ordered[n - place])
