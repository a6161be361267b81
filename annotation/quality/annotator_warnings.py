"""When an annotator's figures look wrong, in words. Pure: no database.

A warning is given only where the whole 95 % interval lies beyond a margin, and never for fewer than MIN_ROWS
judgments: five quick answers are no habit. It asks for a look, it accuses nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pages import the rules to explain them, and need no scipy for that
    from annotation.figures.annotator_figures import AnnotatorFigures, Estimate

MIN_ROWS = 8  # eight of eight on one side are beyond the margin, seven are not: by chance in one of 128
# People read 238 words a minute (Brysbaert 2019, "How many words do we read per minute?", 190 studies of English).
READING_PACE = 238
TOO_FAST = 700  # about three times that: skimming at best
MARGIN = 0.10  # a share must lie this far from what is expected, interval and all
LESS_AGREEMENT = 0.05  # and agreement this far below that of the others
MANY_WITHOUT_OTHERS = 0.5  # ties or skips of a lone annotator, whom nobody can be compared with


@dataclass(frozen=True)
class Concern:
    key: str
    words: str


def warnings_of(figures: AnnotatorFigures, *, gold_threshold: float, is_person: bool = True) -> list[Concern]:
    """``gold_threshold``: the share of pairs with a known answer that is to be right."""
    found = [
        ("too_fast", _too_fast(figures.pace) if is_person else ""),
        ("position", _position(figures.first, figures.pairwise)),
        ("ties", _much_more(figures.ties, "calls {value} of pairs equal")),
        ("skips", _much_more(figures.skips, "skips {value} of what is handed out")),
        ("length", _length(figures.longer)),
        ("gold", _gold(figures.gold, gold_threshold)),
        ("opposite", _opposite(figures.same_way)),
        ("disagrees", _opposite(figures.same_way) == "" and _disagrees(figures.agreement)),
    ]
    return [Concern(key, words) for key, words in found if words]


def _if_enough(rule: Callable[..., str]) -> Callable[..., str]:
    def guarded(estimate: Estimate | None, *more) -> str:
        if estimate is None or estimate.low is None or estimate.rows < MIN_ROWS:
            return ""
        return rule(estimate, *more)

    return guarded


@_if_enough
def _too_fast(pace: Estimate) -> str:
    if pace.low <= TOO_FAST:
        return ""
    return (
        f"Too fast: half of the comparisons are answered at {pace.value:,.0f} words of completions a minute or more. "
        f"People read about {READING_PACE} a minute; above {TOO_FAST}, hardly anything is read."
    )


@_if_enough
def _position(first: Estimate, pairwise: bool) -> str:
    if first.gap_low <= MARGIN and first.gap_high >= -MARGIN:
        return ""
    if first.gap_low > 0:
        habit = "Prefers the left side" if pairwise else "Prefers what is shown first"
    else:
        habit = "Prefers the right side" if pairwise else "Avoids what is shown first"
    return (
        f"{habit}: the {'left' if pairwise else 'first'} one is on top in {_percent(first)}, where "
        f"{100 * first.expected:.0f} % is to be expected, for the order is drawn at random."
    )


@_if_enough
def _much_more(estimate: Estimate, words: str) -> str:
    told = words.format(value=_percent(estimate))
    if estimate.gap_low is None:
        return f"{told[0].upper()}{told[1:]}." if estimate.low > MANY_WITHOUT_OTHERS else ""
    if estimate.gap_low <= MARGIN:
        return ""
    return f"{told[0].upper()}{told[1:]}, most others {100 * estimate.expected:.0f} %."


@_if_enough
def _length(longer: Estimate) -> str:
    if longer.gap_low is None or (longer.gap_low <= MARGIN and longer.gap_high >= -MARGIN):
        return ""
    return (
        f"Leans to the {'longer' if longer.gap_low > 0 else 'shorter'} completion: where two differ in length, the "
        f"longer one is preferred in {_percent(longer)}, by most others in {100 * longer.expected:.0f} %."
    )


@_if_enough
def _gold(gold: Estimate, threshold: float) -> str:
    if gold.high >= threshold:
        return ""
    asked = f"{100 * threshold:.0f} % are asked for"
    return f"Below the threshold on known answers: {_percent(gold)} of pairs are right, {asked}."


@_if_enough
def _opposite(same_way: Estimate) -> str:
    if same_way.high >= 0.5:
        return ""
    return (
        f"Ranks against the others: where both prefer one, it is the same one in only {_percent(same_way)}. Perhaps "
        "the order is read the wrong way round."
    )


@_if_enough
def _disagrees(agreement: Estimate) -> str:
    if agreement.gap_high is None or agreement.gap_high >= -LESS_AGREEMENT:
        return ""
    return (
        f"Disagrees with the others: the same answer in {_percent(agreement)} of pairs; the others among themselves "
        f"in {100 * agreement.expected:.0f} %."
    )


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.0f} % ({100 * estimate.low:.0f} to {100 * estimate.high:.0f} %)"
