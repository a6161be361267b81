"""What a choice would freeze now, counted before it is frozen: fast also of a million judgments.

Judgments, comparisons, prompts and annotators are counted in full. The pairs that are kept and dropped come from the
rules, in Python: of more than SAMPLE comparisons from SAMPLE of them, drawn by their id, so that the figures do not
tremble from one look to the next. By Dawid-Skene they are shown as by majority: annotators are estimated when frozen.
"""

from dataclasses import dataclass, replace
from itertools import groupby

from django.db.models import BigIntegerField, F, Func, IntegerField
from django.db.models.functions import Mod

from annotation.datasets.choice import Choice
from annotation.datasets.chosen import Available, available, to_freeze
from annotation.datasets.counts import left_out
from annotation.datasets.frozen import FrozenJudgment, FrozenPrompt, JudgedComparison, ranking_of
from annotation.rules.aggregation import Aggregation, OneRowPer
from annotation.rules.consensus import tied_pairs

SAMPLE = 2000
_FIELDS = ("pk", "comparison_id", "annotator_id", "kind", "is_decision", "ranking", "strengths", "marks")


@dataclass(frozen=True)
class PairCounts:
    """Pairs kept and dropped, by the reason, of rows as the choice has them."""

    train: int = 0
    eval: int = 0
    ties: int = 0
    conflicts: int = 0
    unsafe: int = 0
    disputed: int = 0
    weak: int = 0

    @property
    def kept(self) -> int:
        return self.train + self.eval

    @property
    def dropped(self) -> list[tuple[str, int]]:
        """(why, how many), without those reasons that met nothing."""
        reasons = [
            ("tied", self.ties),
            ("without a majority", self.conflicts),
            ("with too little agreement", self.disputed),
            ("not strong enough", self.weak),
            ("of an unsafe completion above a safe one", self.unsafe),
        ]
        return [(why, count) for why, count in reasons if count]

    def times(self, factor: float) -> "PairCounts":
        return PairCounts(**{name: round(count * factor) for name, count in vars(self).items()})


@dataclass(frozen=True)
class Preview:
    found: Available
    pairs: PairCounts
    sampled: int  # comparisons that the pairs are estimated from; 0 where all were counted
    left_out: dict[str, int]


class _Hash(Func):
    function = "hashint8"
    output_field = IntegerField()


def preview_of(choice: Choice) -> Preview:
    found = available(choice)
    step = found.comparisons // SAMPLE if found.comparisons > SAMPLE else 1
    counts, looked_at = _pairs(choice, step)
    if step > 1 and looked_at:
        counts = counts.times(found.comparisons / looked_at)
    return Preview(
        found=found,
        pairs=counts,
        sampled=looked_at if step > 1 else 0,
        left_out=left_out(choice.project_ids, choice.kinds),
    )


def _pairs(choice: Choice, step: int) -> tuple[PairCounts, int]:
    """Over one comparison in ``step``; and how many these were."""
    judgments = to_freeze(choice)
    if step > 1:
        drawn = Mod(_Hash(F("comparison_id"), output_field=BigIntegerField()), step)
        judgments = judgments.annotate(drawn=drawn).filter(drawn=0)
    rows = judgments.order_by("comparison_id", "pk").values_list(*_FIELDS, "comparison__prompt__split").iterator()
    sums = dict.fromkeys(vars(PairCounts()), 0)
    looked_at = 0
    rule = replace(choice.rule, aggregation=Aggregation.MAJORITY)
    for comparison_id, group in groupby(rows, key=lambda row: row[1]):
        judged = _judged(comparison_id, list(group), rule)
        _add(sums, judged, choice.one_row_per)
        looked_at += 1
    return PairCounts(**sums), looked_at


def _judged(comparison_id: int, rows: list[tuple], rule) -> JudgedComparison:
    """As it would be read from a snapshot, but without the texts."""
    judgments = [FrozenJudgment(*row[:-1], False, "", {}, None, 0) for row in rows]
    return JudgedComparison(comparison_id, FrozenPrompt(0, rows[0][-1], [], {}), {}, judgments, rule)


def _add(sums: dict[str, int], judged: JudgedComparison, one_row_per: OneRowPer) -> None:
    if one_row_per is OneRowPer.PAIR:
        consensus = judged.consensus()
        sums[judged.prompt.split] += len(consensus.pairs)
        for reason in ("ties", "conflicts", "unsafe", "disputed", "weak"):
            sums[reason] += getattr(consensus, reason)
        return
    for judgment in judged.counting:
        kept = judged.kept_pairs(judgment)
        sums[judged.prompt.split] += len(kept.pairs)
        sums["ties"] += len(tied_pairs(ranking_of(judgment)))
        for reason in ("unsafe", "disputed", "weak"):
            sums[reason] += getattr(kept, reason)
