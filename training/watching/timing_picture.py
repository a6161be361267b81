"""A round's times as bars on one axis of time, and as tables. Pure; no markup."""

from collections.abc import Sequence
from dataclasses import dataclass

from sampling.charts import Scale, Tick, ticks
from sampling.durations import duration
from sampling.engine.phases import Kind
from training.watching.tables import Cell, Table
from training.watching.timing import RoundTimes, Times

WIDTH = 600.0  # of the axis, in the picture's own units
LEAST = 0.8  # narrower than this nobody sees it
APART = 2.0  # between two attempts
UNITS = ((3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Part:
    """A phase in a bar; ``kind`` is a class of the style sheet."""

    x: float
    width: float
    kind: str
    words: str


@dataclass(frozen=True)
class Bar:
    """A row of the picture; ``attempts``: where later attempts begin."""

    label: str
    note: str
    words: str
    description: str
    parts: Sequence[Part]
    attempts: Sequence[float]


@dataclass(frozen=True)
class Picture:
    """``key``: the kinds that occur, with their names and seconds in words."""

    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    key: Sequence[tuple[str, str, str]]
    wall: str
    work: str
    ratio: str
    waiting: str
    table: Table
    width = WIDTH


def drawn(times: RoundTimes | None) -> Picture | None:
    """None where nothing was recorded."""
    if times is None:
        return None
    longest = max((row.seconds for row in times.rows), default=0.0) or 1.0
    scale = Scale(0.0, longest, WIDTH)
    return Picture(
        bars=[_bar(row, scale) for row in times.rows if row.pieces],
        ticks=_ticks(longest, scale),
        key=[(kind.name.lower(), kind.value, exact(times.of(kind))) for kind in Kind if times.of(kind) > 0],
        wall=duration(times.wall),
        work=duration(times.work),
        ratio=f"{times.ratio:.2f}" if times.ratio is not None else "",
        waiting=duration(times.waiting) if times.waiting >= 1 else "",
        table=_by_stage(times),
    )


def phases_of(times: Times | None) -> Table | None:
    """Every phase of a stage, with its share of the stage."""
    if times is None or not times.pieces:
        return None
    attempts = f"{times.attempts} attempts, added up. " if times.attempts > 1 else ""
    rows = [
        [Cell(piece.phase), Cell(piece.kind.value), _seconds(piece.seconds), _share(piece.seconds, times.seconds)]
        for piece in times.by_phase()
    ]
    columns = [("Phase", False), ("Counts as", False), ("Seconds", True), ("Share", True)]
    return Table("Seconds by phase", columns, rows, note=f"{attempts}{times.speed}".strip())


def exact(seconds: float) -> str:
    """A short time with its tenths, a long one in words."""
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def _bar(row: Times, scale: Scale) -> Bar:
    parts, attempts, begun, attempt = [], [], 0.0, None
    for piece in row.pieces:
        x = scale.at(begun)
        if attempt not in (None, piece.attempt):
            attempts.append(x)
        attempt, begun = piece.attempt, begun + piece.seconds
        width = round(scale.at(begun) - x, 1)
        of_attempt = f" (attempt {attempt})" if row.attempts > 1 else ""
        if width >= LEAST:
            words = f"{piece.phase}{of_attempt}: {exact(piece.seconds)}"
            parts.append(Part(x, width, piece.kind.name.lower(), words))
    kinds = ", ".join(f"{kind.value} {exact(row.of(kind))}" for kind in Kind if row.of(kind) > 0)
    counted = f"{row.attempts} attempts" if row.attempts > 1 else ""
    return Bar(
        label=row.label,
        note=", ".join(filter(None, [counted, row.speed])),
        words=exact(row.seconds),
        description=f"{row.label}: {kinds}",
        parts=parts,
        attempts=attempts,
    )


def _ticks(longest: float, scale: Scale) -> list[Tick]:
    size, unit = next((each for each in UNITS if longest >= 2 * each[0]), UNITS[-1])
    values = [value for value in ticks(0.0, longest / size, about=6) if value * size <= longest]
    return [Tick(scale.at(value * size), f"{value:g} {unit}") for value in values]


def _by_stage(times: RoundTimes) -> Table:
    kinds = [kind for kind in Kind if times.of(kind) > 0]
    columns = [("Stage", False), *((_SHORT[kind], True) for kind in kinds), ("All", True), ("Share", True)]
    rows = [
        [
            Cell(row.label),
            *(_seconds(row.of(kind)) for kind in kinds),
            _seconds(row.seconds),
            _share(row.seconds, times.wall),
        ]
        for row in times.rows
    ]
    rows.append(
        [
            Cell("the whole round"),
            *(_seconds(times.of(kind)) for kind in kinds),
            _seconds(times.wall),
            _share(times.wall, times.wall),
        ]
    )
    return Table("Seconds by stage", columns, rows)


_SHORT = {
    Kind.WORK: "Work",
    Kind.STARTING: "Starting",
    Kind.LOADING: "Loading",
    Kind.ENGINE: "Engine",
    Kind.KEEPING: "Keeping",
    Kind.OTHER: "Other",
}


def _seconds(seconds: float) -> Cell:
    return Cell(f"{seconds:,.1f}" if seconds else "-", is_number=True)


def _share(seconds: float, whole: float) -> Cell:
    return Cell(f"{100 * seconds / whole:.0f} %" if whole else "", is_number=True)
