"""What an evaluation and the harness found, as rows of pictures and tables. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.evaluation import gate
from training.watching import figures
from training.watching.tables import Cell, Table, number_cell, table
from training.watching.whiskers import Measured, Whiskers, numbers, of_result, shares

Result = Mapping[str, Any]
OPPONENTS = {"old": "the old policy", "base": "the base", "published": "the newest published policy"}
# The harness's names for what a task measures.
METRICS = {"acc": "accuracy", "acc_norm": "accuracy, by length", "exact_match": "exact match"}
TASK_DROP = 2.0  # standard errors of the difference: beyond it, a task's drop is more than chance
FEW_EXAMPLES = 50  # with fewer, what lies within TASK_DROP may be a change as well as none
CONTROLLED = ("length_controlled_win_rate", "length_controlled_low", "length_controlled_high")


def with_people(result: Result, matches: Sequence[Result]) -> Result:
    """The result with blind tests as matches beside the judges' (training/evaluation/people.py)."""
    return {**result, "matches": [*(result.get("matches") or []), *matches]} if matches else result


def win_rate(result: Result) -> Whiskers | None:
    """Over the old policy: the first judge's, which the gate looks at, and what people say, which decides nothing."""
    rows = [of_result(_judge(result) or "the first judge", result, "win_rate")]
    rows += [
        of_result(_judge(each), each, "win_rate", note=f"{_prompts(each)}, for information", colour=3)
        for each in by_people(result)
    ]
    return shares("Win rate, new policy over old", rows)


def by_people(result: Result) -> list[Result]:
    """Their match against the old policy, if there is one."""
    return [
        match
        for match in result.get("matches") or []
        if (match.get("judge"), match.get("opponent")) == (gate.PEOPLE, "old")
    ]


def win_rates(matches: Sequence[Result]) -> Whiskers | None:
    """Raw and length-controlled, a match and judge each."""
    rows: list[Measured] = []
    for each in matches:
        note = ", ".join(filter(None, [_judge(each), _independence(each), _prompts(each)]))
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
    note = (
        "A judge that selected the completions to train on, or that takes part itself, is not independent: it may see "
        "only its own taste. The gate does not believe it."
    )
    return table("Each match", columns, rows, note=note)


def tasks_table(result: Result) -> Table | None:
    """Old beside new, a harness task each."""
    rows = [
        [
            Cell(each["task"]),
            Cell(METRICS.get(each.get("metric", ""), each.get("metric", ""))),
            *(_with_error(each, side) for side in ("old", "new")),
            Cell(_change(each), is_number=True),
            number_cell(each.get("examples"), "{:,}"),
        ]
        for each in result.get("tasks") or []
    ]
    columns = [
        ("Task", False), ("Metric", False), ("Old ± error", True), ("New ± error", True),
        ("Change, in paired standard errors", True), ("Examples", True),
    ]  # fmt: skip
    note = (
        "± is the standard error of one policy's score, as if it stood alone. Both answer the same examples, so the "
        "change is told in the standard error of their differences, example by example, which is smaller: 0 is no "
        f"change, and beyond {TASK_DROP:g} it is more than chance."
    )
    return table("Tasks", columns, rows, note=note)


# --- words --------------------------------------------------------------------------------------------------------


def _opponent(match: Result) -> str:
    role = OPPONENTS.get(match.get("opponent", ""), match.get("opponent", ""))
    return f"{role} ({match['name']})" if match.get("name") else role


def _prompts(match: Result) -> str:
    """Of how many prompts, where that is not the evaluation's number: people may judge only some."""
    count = match.get("prompts")
    return "" if count is None else f"{count:,} prompt{'' if count == 1 else 's'}"


def _judge(match: Result) -> str:
    judge = str(match.get("judge", ""))
    return gate.JUDGES.get(judge, judge)


def _independence(match: Result) -> str:
    return {"independent": "independent", "selected": "it selected", "takes_part": "it takes part"}[
        gate.independence(match)
    ]


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


def _change(task: Result) -> str:
    """A drop of 0.4 is a change of -0.4: readers look for what went up and what went down."""
    drop, examples = task.get("drop_in_errors"), task.get("examples")
    if drop is None:
        return figures.NOT_MEASURED
    change = round(-drop, 1)
    few = examples is not None and examples < FEW_EXAMPLES and abs(drop) <= TASK_DROP
    return (f"{change:+.1f}" if change else "0") + (": too few examples to tell" if few else "")
