"""What figures of agreement and of annotators mean, in plain sentences. Pure: no database, no request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotation.quality.annotator_warnings import READING_PACE
from sampling.durations import duration

TENTATIVE, RELIABLE = 0.667, 0.8  # Krippendorff 2004, "Content analysis", 2nd edition, section 11.4
# Landis and Koch 1977, "The measurement of observer agreement for categorical data", Biometrics 33.
LANDIS_AND_KOCH = (
    (0.0, "no better than chance"), (0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"),
    (1.0, "almost perfect"),
)  # fmt: skip


@dataclass(frozen=True)
class Described:
    name: str
    what: str  # what is measured
    is_share: bool = False


FIGURES = {
    "alpha": Described(
        "Krippendorff's alpha", "Of all rankings, ordinal: 1 is full agreement, 0 what chance would give."
    ),
    "fleiss": Described("Fleiss's kappa", "Of pairs of completions (better, tie, worse), over all annotators at once."),
    "cohen": Described("Cohen's kappa", "Of pairs of completions, between every two annotators, pooled."),
    "tau": Described(
        "Kendall's tau-b", "Mean over every two rankings of a comparison; \N{MINUS SIGN}1 is the reverse order."
    ),
    "share": Described("Same answer", "Pairs of completions of which two annotators say the same.", is_share=True),
}


def meaning(key: str, value: float, low: float | None) -> str:
    """One plain sentence on a figure of agreement."""
    match key:
        case "alpha":
            return _krippendorff(value, low)
        case "fleiss" | "cohen":
            return f"Agreement beyond chance is {_landis_and_koch(value)} by the scale of Landis and Koch (1977)."
        case "tau":
            return (
                f"Leaving ties aside, two annotators put about {50 * (1 + value):.0f} of 100 pairs in the same order."
            )
        case "share":
            return (
                f"Two annotators say the same of {100 * value:.0f} of 100 pairs. InstructGPT's agreed 73 % of the time "
                "(arXiv 2203.02155, section 3.4)."
            )
        case _:
            raise ValueError(f'"{key}" is no figure of agreement.')


def _krippendorff(value: float, low: float | None) -> str:
    if value >= RELIABLE:
        words = f"Reliable: Krippendorff (2004) asks for {RELIABLE}."
        return words if low is None or low >= RELIABLE else f"{words} The interval reaches below that."
    if value >= TENTATIVE:
        return f"Good for tentative conclusions: {TENTATIVE} to {RELIABLE}, by Krippendorff (2004)."
    return (
        f"Below {TENTATIVE}, from which Krippendorff (2004) draws tentative conclusions. Where answers are a matter of "
        "taste that is common; where they are not, look at the guidelines and at those who disagree."
    )


def _landis_and_koch(value: float) -> str:
    return next((word for bound, word in LANDIS_AND_KOCH if value <= bound), LANDIS_AND_KOCH[-1][1])


# --- figures of one annotator --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Habit:
    """One of an annotator's figures: what it is called, and where it is drawn."""

    key: str
    name: str
    short: str  # the table's heading
    what: str
    expected: str = ""  # the name of what it is held against


HABITS = (
    Habit("agreement", "Agreement with the others", "Agreement",
          "Pairs of completions of which another annotator of the same comparison says the same.",
          "the others among themselves"),
    Habit("gold", "Known answers", "Known answers", "Pairs of comparisons with a known answer that are right."),
    Habit("first", "Shown first, ranked on top", "First on top",
          "The order is drawn at random, so this is chance unless the place itself is preferred.", "chance"),
    Habit("longer", "Longer one preferred", "Longer wins",
          "Of pairs that differ by a tenth in characters or more and are decided.", "most others"),
    Habit("ties", "Pairs called equal", "Ties", "Of all pairs of completions.", "most others"),
    Habit("skips", "Skipped", "Skips", "Of all comparisons that were handed out and ended.", "most others"),
)  # fmt: skip


def minus(number: str) -> str:
    """With the sign that is as wide as a plus: a hyphen is easily overlooked."""
    return number.replace("-", "\N{MINUS SIGN}")


def percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def percent_interval(low: float, high: float) -> str:
    return f"{100 * low:.0f} to {100 * high:.0f} %"


def time_interval(estimate: Mapping[str, Any] | None) -> str:
    """ "28 s to 35 s"; empty where there is none."""
    if not estimate or estimate["low"] is None:
        return ""
    return f"{duration(estimate['low'])} to {duration(estimate['high'])}"


def pace_words(estimate: Mapping[str, Any] | None) -> str:
    if not estimate:
        return ""
    return f"{estimate['value']:,.0f} words of completions a minute; people read about {READING_PACE}"
