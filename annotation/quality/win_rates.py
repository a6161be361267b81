"""Stored win rates as what the page shows: one line for each two writers, a matrix for many of them. No database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.quality.words import percent, percent_interval
from sampling.charts import Scale, Whisker, whisker

WIDE = 200
FEW = 3  # writers: their pairs are told one by one. Of more, a matrix is read sooner
EVEN = 0.5


@dataclass(frozen=True)
class PairRow:
    """``first`` is the stronger one."""

    first: str
    second: str
    wins: int
    ties: int
    losses: int
    prompts: int
    value: str
    interval: str  # by prompts; empty where there are too few of them
    wilson: str
    drawn: Whisker
    verdict: str


@dataclass(frozen=True)
class MatrixCell:
    value: str  # the row's writer against the column's; empty where they never met, or are the same
    words: str
    leans: str  # "wins", "loses", or "" where that cannot be told


@dataclass(frozen=True)
class MatrixRow:
    number: int
    name: str
    cells: Sequence[MatrixCell | None]


@dataclass(frozen=True)
class WinRatesPage:
    pairs: Sequence[PairRow]
    matrix: Sequence[MatrixRow]  # empty for FEW writers
    left_out: int
    even_at: float
    width: int = WIDE


def win_rates_page(stored: Mapping[str, Any] | None) -> WinRatesPage | None:
    """None where no two writers were compared."""
    if not stored or not stored["pairs"]:
        return None
    writers, pairs = stored["writers"], stored["pairs"]
    scale = Scale(0, 1, WIDE)
    return WinRatesPage(
        pairs=[_pair_row(writers, pair, scale) for pair in pairs],
        matrix=_matrix(writers, pairs) if len(writers) > FEW else [],
        left_out=stored["left_out"],
        even_at=scale.at(EVEN),
    )


def _pair_row(writers: Sequence[str], pair: Mapping[str, Any], scale: Scale) -> PairRow:
    low, high = _ends(pair)
    first, second = writers[pair["first"]], writers[pair["second"]]
    return PairRow(
        first=first,
        second=second,
        **{name: pair[name] for name in ("wins", "ties", "losses", "prompts")},
        value=percent(pair["value"]),
        interval="" if pair["low"] is None else percent_interval(pair["low"], pair["high"]),
        wilson=percent_interval(pair["wilson_low"], pair["wilson_high"]),
        drawn=whisker(scale, low, pair["value"], high),
        verdict={1: f"{first} wins", -1: f"{second} wins", 0: "no difference can be told"}[_leans(pair)],
    )


def _ends(pair: Mapping[str, Any]) -> tuple[float, float]:
    """By prompts; where these are too few, Wilson's."""
    if pair["low"] is None:
        return pair["wilson_low"], pair["wilson_high"]
    return pair["low"], pair["high"]


def _leans(pair: Mapping[str, Any]) -> int:
    """1 where the whole interval is above one half, -1 where it is below. Nothing is told from too few prompts."""
    if pair["low"] is None:
        return 0
    return (pair["low"] > EVEN) - (pair["high"] < EVEN)


def _matrix(writers: Sequence[str], pairs: Sequence[Mapping[str, Any]]) -> list[MatrixRow]:
    cells: dict[tuple[int, int], MatrixCell] = {}
    for pair in pairs:
        first, second, leans = pair["first"], pair["second"], _leans(pair)
        low, high = _ends(pair)
        count = pair["wins"] + pair["ties"] + pair["losses"]
        cells[first, second] = _cell(writers[first], writers[second], pair["value"], (low, high), leans, count)
        turned = (1 - high, 1 - low)
        cells[second, first] = _cell(writers[second], writers[first], 1 - pair["value"], turned, -leans, count)
    places = range(len(writers))
    return [MatrixRow(row + 1, writers[row], [cells.get((row, column)) for column in places]) for row in places]


def _cell(one: str, other: str, value: float, ends: tuple[float, float], leans: int, count: int) -> MatrixCell:
    return MatrixCell(
        value=percent(value),
        words=f"{one} against {other}: {percent(value)}, {percent_interval(*ends)}, of {count:,} pairs",
        leans={1: "wins", -1: "loses", 0: ""}[leans],
    )
