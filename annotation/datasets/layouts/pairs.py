"""What the layouts of pairs share: which pairs a view has, in their order, and how the card says so."""

from collections.abc import Iterator
from dataclasses import dataclass

from annotation.datasets.export_rows import Rows
from annotation.datasets.frozen import JudgedComparison
from annotation.datasets.layouts.layout import View


@dataclass(frozen=True, slots=True)
class ViewedPair:
    chosen: int
    rejected: int
    probability: float  # that the chosen one is better


def pairs_in(judged: JudgedComparison, view: View) -> Iterator[ViewedPair]:
    """Each judgment's own pairs, or those that are agreed on."""
    if view.rows is Rows.MAJORITY:
        for pair in judged.consensus().pairs:
            yield ViewedPair(pair.chosen, pair.rejected, pair.probability)
        return
    for judgment in judged.counting:
        for pair in judged.pairs_by(judgment)[0]:
            yield ViewedPair(pair.chosen, pair.rejected, 1.0)


def what_a_pair_is(view: View) -> str:
    if view.rows is Rows.MAJORITY:
        return f"One row per pair of completions whose order is agreed on {view.agreed}."
    return (
        "One row per judgment and pair: annotators who disagree give rows that contradict each other, unless an "
        "agreement was asked for."
    )
