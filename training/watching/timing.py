"""Where a round's time went: what its stages spent on pure work, what on all that surrounds it. Reads only.

From the `timings.jsonl` that worker and programs left in the run directories. Times of a phase are added up over the
attempts; a gap between two attempts of a round, in which nobody had it, is waiting and counts in neither figure.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from django.utils import timezone

from sampling.engine import timings
from sampling.engine.phases import STAGES, Kind, kind_of
from sampling.long_tasks import TaskState
from training.models import Stage, StageState, TrainingRound
from training.watching import run_files, speed

BETWEEN = "between the stages"


@dataclass(frozen=True)
class Piece:
    """One phase of one attempt."""

    phase: str
    kind: Kind
    attempt: int
    seconds: float


@dataclass(frozen=True)
class Times:
    """The pieces of one stage, or of the round outside its stages, in the order in which they came."""

    kind: str  # of the stage; empty for the round's own
    label: str
    pieces: Sequence[Piece]
    speed: str = ""  # of its pure work, in words

    @property
    def attempts(self) -> int:
        return len({piece.attempt for piece in self.pieces})

    @property
    def seconds(self) -> float:
        return sum(piece.seconds for piece in self.pieces)

    @property
    def work(self) -> float:
        return self.of(Kind.WORK)

    def of(self, kind: Kind) -> float:
        return sum(piece.seconds for piece in self.pieces if piece.kind == kind)

    def by_phase(self) -> list[Piece]:
        """A piece for each phase, its attempts added up, in the order in which they first came."""
        added: dict[str, float] = {}
        for piece in self.pieces:
            added[piece.phase] = added.get(piece.phase, 0.0) + piece.seconds
        return [Piece(phase, _kind_of(phase), 0, seconds) for phase, seconds in added.items()]


@dataclass(frozen=True)
class RoundTimes:
    """``rows``: the stages that ran, and the round's own last. ``waiting``: for a worker, before an attempt."""

    rows: Sequence[Times]
    wall: float  # seconds in which a worker had the round
    waiting: float

    @property
    def work(self) -> float:
        return sum(row.work for row in self.rows)

    @property
    def ratio(self) -> float | None:
        """Wall time to pure work; None before there is any work."""
        return self.wall / self.work if self.work > 0 else None

    def of(self, kind: Kind) -> float:
        return sum(row.of(kind) for row in self.rows)

    def of_stage(self, kind: str) -> Times | None:
        return next((row for row in self.rows if row.kind == kind), None)


def of_round(round: TrainingRound, stages: Iterable[Stage]) -> RoundTimes | None:
    """None where nothing was recorded: it has not begun, or ran before times were."""
    spans = _spans(round.run_dir)
    rows = [of_stage(stage) for stage in stages]
    rows = [row for row in rows if row.pieces]
    ended = None if round.state == TaskState.RUNNING else (round.finished_at.timestamp() if round.finished_at else 0.0)
    own = [_piece(span, ended) for span in spans]
    if not rows and not own:
        return None
    staged = sum(row.seconds for row in rows)
    wall = sum(piece.seconds for piece in own) or staged
    outside = [piece for piece in own if piece.phase != STAGES]
    between = wall - staged - sum(piece.seconds for piece in outside)
    if between > 0:
        outside.append(Piece(BETWEEN, Kind.KEEPING, outside[-1].attempt if outside else 1, between))
    return RoundTimes(
        rows=[*rows, Times("", "the round itself", _merged(outside))], wall=wall, waiting=_waiting(round, spans)
    )


def of_stage(stage: Stage) -> Times:
    """Empty where nothing was recorded. Its round's row is as it was read."""
    lives = stage.round.state == TaskState.RUNNING and stage.state == StageState.RUNNING
    ended = None if lives else 0.0  # what nobody lived to end is not guessed at
    pieces = _merged(_piece(span, ended) for span in _spans(stage.run_dir))
    work = sum(piece.seconds for piece in pieces if piece.phase == "training")
    return Times(stage.kind, stage.get_kind_display(), pieces, speed.of_stage(stage, training_seconds=work))


def _spans(directory: Path) -> list[timings.Span]:
    return run_files.read_once(_read, directory / timings.TIMINGS)


def _read(path: Path) -> list[timings.Span]:
    return timings.read(path.parent)


def _piece(span: timings.Span, ended: float | None) -> Piece:
    """``ended``: when whatever was left open ended; None while it goes on."""
    end = span.end if span.end is not None else (time.time() if ended is None else ended)
    return Piece(span.phase, _kind_of(span.phase), span.attempt, max(0.0, end - span.begin))


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Neighbours of the same phase and attempt as one; those that took no time are left out."""
    merged: list[Piece] = []
    for piece in pieces:
        if piece.seconds <= 0:
            continue
        last = merged[-1] if merged else None
        if last and (last.phase, last.attempt) == (piece.phase, piece.attempt):
            merged[-1] = Piece(piece.phase, piece.kind, piece.attempt, last.seconds + piece.seconds)
        else:
            merged.append(piece)
    return merged


def _kind_of(phase: str) -> Kind:
    return Kind.KEEPING if phase == BETWEEN else kind_of(phase)


def _waiting(round: TrainingRound, spans: Sequence[timings.Span]) -> float:
    """Seconds in which the round was in the queue, or had failed and was not tried again yet."""
    begun = round.created_at.timestamp()
    if not spans:
        return 0.0 if round.is_over else timezone.now().timestamp() - begun
    gaps = [
        later.begin - (earlier.end or later.begin)
        for earlier, later in pairwise(spans)
        if later.attempt != earlier.attempt
    ]
    return max(0.0, spans[0].begin - begun) + sum(max(0.0, gap) for gap in gaps)
