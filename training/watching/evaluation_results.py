"""What an evaluation and the harness found, as rows of pictures and tables. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.evaluation import gate
from training.watching import figures
from training.watching.tables import Cell, Table, number_cell, table
from training.watching.whiskers import Measured, Whiskers, numbers, of_result, shares

Result = Mapping[str, Any]
CONTROLLED = ("length_controlled_win_rate", "length_controlled_low", "length_controlled_high")


def win_rate(result: Result) -> Whiskers | None:
    """The one that the gate looks at: the first judge's, over the old policy."""
    return shares("Win rate, new policy over old", [of_result("the first judge", result, "win_rate")])


def win_rates(matches: Sequence[Result]) -> Whiskers | None:
    """Raw and length-controlled, a match and judge each."""
    rows: list[Measured] = []
    for each in matches:
        note = f"{_judge(each)}, {_independence(each)}"
        rows.append(of_result(f"over {_opponent(each)}", each, "win_rate", note=note))
        value, low, high = (each.get(name) for name in CONTROLLED)
        if value is not None:
            rows.append(Measured(label="", note="for equal lengths", value=value, low=low, high=high, colour=2))
    return shares("Win rates of the new policy", rows)


def ratings(result: Result) -> Whiskers | None:
    """Of all versions that met so far, on one scale; None while fewer than three did."""
    rows = [of_result(each["name"], each, "rating") for each in result.get("ratings") or []]
    return numbers("Ratings of all versions", rows, digits=0)


def matches_table(matches: Sequence[Result]) -> Table | None:
    """Who met whom before which judge."""
    rows = [
        [
            Cell(_opponent(each)),
            Cell(_judge(each)),
            Cell(_independence(each), badge="finished" if each.get("independent") else "withheld"),
            Cell(figures.proportion(each, "win_rate", "low", "high"), is_number=True),
            Cell(figures.proportion(each, *CONTROLLED), is_number=True),
            Cell(_record(each), is_number=True),
            Cell(_two_lengths(each), is_number=True),
        ]
        for each in matches
    ]
    columns = [
        ("Against", False), ("Judge", False), ("Independent", False), ("Win rate", True),
        ("For equal lengths", True), ("Won / tied / lost", True), ("Tokens, new / other", True),
    ]  # fmt: skip
    note = "A judge that selected the completions to train on is not independent: it may see only its own taste."
    return table("Each match", columns, rows, note=note)


def tasks_table(result: Result) -> Table | None:
    """Old beside new, a harness task each."""
    rows = [
        [
            Cell(each["task"]),
            Cell(each.get("metric", "")),
            *(_with_error(each, side) for side in ("old", "new")),
            Cell(_drop(each.get("drop_in_errors")), is_number=True),
            number_cell(each.get("examples"), "{:,}"),
        ]
        for each in result.get("tasks") or []
    ]
    columns = [
        ("Task", False), ("Metric", False), ("Old", True), ("New", True), ("Change, in standard errors", True),
        ("Examples", True),
    ]  # fmt: skip
    return table("Tasks", columns, rows)


# --- words --------------------------------------------------------------------------------------------------------


def _opponent(match: Result) -> str:
    role = {"old": "the old policy", "base": "the base"}.get(match.get("opponent", ""), match.get("opponent", ""))
    return f"{role} ({match['name']})" if match.get("name") else role


def _judge(match: Result) -> str:
    judge = str(match.get("judge", ""))
    return gate.JUDGES.get(judge, judge)


def _independence(match: Result) -> str:
    return "independent" if match.get("independent") else "it selected"


def _record(match: Result) -> str:
    """ "24 / 3 / 13", and how many of the ties are verdicts of a model that could not be read."""
    unread = match.get("unparsable")
    return " / ".join(f"{match.get(name, 0):,}" for name in ("wins", "ties", "losses")) + (
        f", {unread:,} unread" if unread else ""
    )


def _two_lengths(match: Result) -> str:
    both = (match.get("mean_tokens_new"), match.get("mean_tokens_opponent"))
    return " / ".join(figures.NOT_MEASURED if each is None else f"{each:.1f}" for each in both)


def _with_error(task: Result, side: str) -> Cell:
    value, error = task.get(side), task.get(f"{side}_stderr")
    if value is None:
        return Cell(figures.NOT_MEASURED, is_number=True)
    return Cell(f"{value:.3f}" + (f" ± {error:.3f}" if error is not None else ""), is_number=True)


def _drop(drop: float | None) -> str:
    """A drop of 0.4 is a change of -0.4: readers look for what went up and what went down."""
    return figures.NOT_MEASURED if drop is None else f"{-drop:+.1f}"
