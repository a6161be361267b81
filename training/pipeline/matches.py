"""The figures of a match: the new policy against one opponent, in the eyes of one judge. Pure figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from training.pipeline.intervals import Interval
from training.pipeline.length_control import Duels, length_controlled
from training.pipeline.meetings import Independence, Opinion, Opponent
from training.pipeline.win_intervals import win_interval


@dataclass(frozen=True)
class Match:
    """Raw and length-controlled win rates side by side, with 95 % intervals, and the lengths that they come with."""

    opponent: Opponent
    name: str  # the opponent's, as it is registered
    judge: str
    independent: bool
    independence: Independence  # why it is not
    win_rate: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int
    unparsable: int  # of the ties: neither order of the question had a verdict that could be read
    # Null where no regression can tell: one prompt, or lengths that always differ by the same.
    length_controlled_win_rate: float | None
    length_controlled_low: float | None
    length_controlled_high: float | None
    mean_tokens_new: float
    mean_tokens_opponent: float


def match_of(opinion: Opinion, opponent: Opponent, *, name: str, resamples: int, seed: int) -> Match | None:
    """The figures of one judge's opinion against one opponent; None where they did not meet."""
    opinion = opinion.against(opponent)
    if not opinion.meetings:
        return None
    raw = win_rate(opinion)
    controlled = _length_controlled(opinion, raw, resamples=resamples, seed=seed)
    verdicts = list(opinion.verdicts)
    return Match(
        opponent=opponent,
        name=name,
        judge=opinion.judge,
        independent=opinion.is_independent,
        independence=opinion.independence,
        win_rate=raw.value,
        low=raw.low,
        high=raw.high,
        wins=verdicts.count(1.0),
        ties=verdicts.count(0.5),
        losses=verdicts.count(0.0),
        unparsable=sum(opinion.unread or ()),
        length_controlled_win_rate=controlled and controlled.value,
        length_controlled_low=controlled and controlled.low,
        length_controlled_high=controlled and controlled.high,
        mean_tokens_new=fmean(each.new.tokens for each in opinion.meetings),
        mean_tokens_opponent=fmean(each.other.tokens for each in opinion.meetings),
    )


def win_rate(opinion: Opinion) -> Interval:
    """The mean verdict, each prompt counting once however many completions it has; a tie is half a win."""
    means = [fmean(opinion.verdicts[i] for i in positions) for positions in opinion.by_prompt()]
    return Interval(fmean(means), *win_interval(means))


def _length_controlled(opinion: Opinion, raw: Interval, *, resamples: int, seed: int) -> Interval | None:
    duels = Duels(
        verdicts=opinion.verdicts,
        tokens_new=[each.new.tokens for each in opinion.meetings],
        tokens_other=[each.other.tokens for each in opinion.meetings],
        clusters=opinion.by_prompt(),
    )
    found = length_controlled(duels, resamples=resamples, seed=seed)
    if found is None:
        return None
    # A control costs exactness: no more is known than without it, although every draw of prompts may say the same.
    moved = 0.0 if _all_alike(opinion.verdicts) else found.value - raw.value
    low, high = min(found.low, raw.low + moved), max(found.high, raw.high + moved)
    return Interval(found.value, max(0.0, low), min(1.0, high))


def _all_alike(verdicts: Sequence[float]) -> bool:
    return len(set(verdicts)) == 1
