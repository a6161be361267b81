"""The 95 % interval of a win rate among prompts, some of them tied. Pure Python: web pages count with it too.

Wilson's score interval (1927) for wins and losses, carried on to ties. Wilson's is what comes out of adding z^2 = 3.84
imagined prompts, half of them won and half lost. Here those count in the variance too, as decided prompts: n prompts
of which none was decided leave z^2 / (n + z^2) open on either side of one half on the scale from -1 (lost) to 1 (won),
which is Tango's interval (1998, Statistics in Medicine 17) of a difference of paired shares, and a handful of wins
among many ties is not taken for the variance that all prompts would show. What follows, and is tested: a tie pulls both
ends towards one half and lifts none over it, so that no number of ties makes a policy better than another.
"""

from collections.abc import Sequence
from math import comb, sqrt
from statistics import NormalDist, fmean

CONFIDENCE = 0.95
# Of fewer decided prompts a normal approximation is not believed: one half is left out only where the sign test does.
FEW = 30


def win_interval(verdicts: Sequence[float]) -> tuple[float, float]:
    """The ends for the mean of ``verdicts``, at least one; each is of one prompt, 1 won, 0 lost, a half tied.

    A prompt that was judged several times counts once, with the mean of its verdicts.
    """
    scores = [2 * verdict - 1 for verdict in verdicts]
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    n, total = len(scores) + z * z, sum(scores)  # n: with the imagined ones, which add nothing to the total
    decided = sum(score * score for score in scores) + z * z
    half = z * sqrt(max(0.0, decided - total * total / len(scores))) / n
    low, high = ((1 + total / n + side * half) / 2 for side in (-1, 1))
    wins, losses = sum(score > 0 for score in scores), sum(score < 0 for score in scores)
    if wins + losses < FEW and not _differ(wins, losses):
        low, high = min(low, 0.5), max(high, 0.5)
    mean = fmean(verdicts)  # within, and where all are alike an end itself, which rounding must not take away
    return max(0.0, min(low, mean)), min(1.0, max(high, mean))


def _differ(wins: int, losses: int) -> bool:
    """Whether a sign test, exact and two-sided, tells them apart."""
    tosses = wins + losses
    as_far = sum(comb(tosses, k) for k in range(min(wins, losses) + 1))
    return 2 * as_far / 2**tosses < 1 - CONFIDENCE
