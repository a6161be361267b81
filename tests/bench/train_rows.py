"""What `tests.bench.train` measured, and how it is told: ratios, a table, JSON, and whether the targets are reached."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench import train_cases
from tests.bench.train_cases import Case

CONTENDERS = TRL, BEST_TRL, OURS = ("TRL", "TRL, best", "ours")
TARGETS = {2: 1.0, 4: 4.0, 9: 8.0}  # ours over TRL as configured, in DPO, by K


@dataclass(frozen=True)
class Step:
    """What a contender took for one optimiser step."""

    seconds: float
    cpu_seconds: float  # of all cores: what the machine's other work disturbs less
    tokens: int  # without padding
    positions: int  # with it
    flops: float
    loss: float


@dataclass(frozen=True)
class Turns:
    """A contender's steps of a case, without the warm-up."""

    steps: list[Step]
    reference_seconds: float  # of one step's pairs, beforehand; nought where it is part of the step
    peak_bytes: int
    imported_bytes: int  # of these, what was there before there was a model
    settings: dict[str, Any]

    @property
    def seconds(self) -> list[float]:
        return [step.seconds for step in self.steps]

    @property
    def padding(self) -> float:
        return 1 - sum(step.tokens for step in self.steps) / sum(step.positions for step in self.steps)

    def per_second(self, what: str) -> float:
        """The median of tokens or FLOPs per second."""
        return statistics.median(getattr(step, what) / step.seconds for step in self.steps)


@dataclass(frozen=True)
class Row:
    """A case of DPO or of the reward model, and what each contender took."""

    kind: str
    case: Case
    turns: dict[str, Turns]

    def ratios(self, other: str, *, with_reference: bool = False) -> list[float]:
        """How many times as long the other one took for the same pairs, step by step."""
        ours, theirs = self.turns[OURS], self.turns[other]
        extra = (ours.reference_seconds, theirs.reference_seconds) if with_reference else (0.0, 0.0)
        return [(b + extra[1]) / (a + extra[0]) for a, b in zip(ours.seconds, theirs.seconds, strict=True)]

    def cpu_ratio(self, other: str) -> float:
        """The median of how many times as long the other one had the cores."""
        pairs = zip(self.turns[OURS].steps, self.turns[other].steps, strict=True)
        return statistics.median(theirs.cpu_seconds / ours.cpu_seconds for ours, theirs in pairs)

    def ratio(self, other: str, *, with_reference: bool = False) -> float:
        return statistics.median(self.ratios(other, with_reference=with_reference))


def show(row: Row, peak: float | None) -> str:
    """A line for each contender; ours over it at the end."""
    case = row.case
    tokens = f"{case.prompt}+{case.completion}"
    lines = [f"{row.kind}, {case.name}, K = {case.k}: {tokens} tokens in the mean, {case.pairs} pairs a step"]
    for name, turns in row.turns.items():
        seconds, median = turns.seconds, statistics.median(turns.seconds)
        line = f"  {name:<12}{median:>8.2f} ({min(seconds):.2f}-{max(seconds):.2f})".ljust(38)
        line += f"{turns.reference_seconds:>8.2f}{case.pairs / median:>9.2f}{turns.per_second('tokens'):>10.0f}"
        line += f"{turns.padding:>9.1%}{turns.peak_bytes / 1e9:>8.2f}"
        if peak:
            line += f"{turns.per_second('flops') / peak:>7.1%}"
        if name != OURS:
            ratios = row.ratios(name)
            line += f"{row.ratio(name):>8.2f}x ({min(ratios):.2f}-{max(ratios):.2f})".ljust(25)
            line += "" if peak else f"{row.cpu_ratio(name):>7.2f}x"
            if row.kind == "dpo":
                line += f"{row.ratio(name, with_reference=True):>8.2f}x"
        lines.append(line)
    return "\n".join(lines)


def heading(peak: float | None) -> str:
    utilisation = f"{'MFU':>7}" if peak else ""
    return (
        f"{'':<14}{'seconds a step':<24}{'ref.':>8}{'pairs/s':>9}{'tokens/s':>10}{'padding':>9}{'GB':>8}{utilisation}"
        f"   ours over it: steps  {'' if peak else 'by CPU time'}  with ref."
    )


def reached(rows: Sequence[Row]) -> dict[str, bool | None]:
    """What was to be reached in DPO, in every shape but the one without help; null where it was not measured."""
    found: dict[str, bool | None] = {}
    of_dpo = [row for row in rows if row.kind == "dpo"]
    for k, target in TARGETS.items():
        for name in (TRL, BEST_TRL):
            ratios = [
                row.ratio(name, with_reference=True)
                for row in of_dpo
                if row.case.k == k and (k == 2 or row.case.name != train_cases.NO_HELP[0])
            ]
            found[f"{target:g} x {name} at K = {k}"] = min(ratios) >= target if ratios else None
    memory = [row.turns[OURS].peak_bytes <= min(row.turns[name].peak_bytes for name in (TRL, BEST_TRL)) for row in rows]
    return found | {"no more memory": all(memory) if memory else None}


def as_json(row: Row, peak: float | None) -> dict[str, Any]:
    """All of a row."""
    ratios = {
        name: {
            "steps": {"median": row.ratio(name), "each": row.ratios(name)},
            "cpu_time": {"median": row.cpu_ratio(name)},
            "with_reference": {"median": row.ratio(name, with_reference=True)},
        }
        for name in row.turns
        if name != OURS
    }
    return {"kind": row.kind, "case": asdict(row.case) | {"pairs": row.case.pairs}, "ours_over": ratios} | {
        "contenders": {
            name: asdict(turns)
            | {
                "seconds_median": statistics.median(turns.seconds),
                "pairs_per_second": row.case.pairs / statistics.median(turns.seconds),
                "tokens_per_second": turns.per_second("tokens"),
                "padding": turns.padding,
                "flops_utilisation": turns.per_second("flops") / peak if peak else None,
            }
            for name, turns in row.turns.items()
        }
    }


def in_words(apart: Any) -> str:
    of_one = f"one tensor {apart.worst_gradient:.1e} ({apart.worst})"
    return f"loss {apart.loss:.1e}, all gradients {apart.gradients:.1e}, {of_one}"
