"""Which column of a source is which of our fields, where no format knows its rows: a mapping of our name -> column.

A column may be

- a name as it stands in the source, or a path into what a column holds: "meta.language", "choices[0].text";
- a path through a list, "annotations[].worker", which gives one value for each of its items;
- several, with " + " between them: "instruction + input". A prompt is joined of them, one below the other; elsewhere
  they are a list, such as three annotators' answers: "annotator1 + annotator2 + annotator3";
- a constant, after an equals sign: "=gpt-4".

A mapping's values are text, as forms and commands give them; a list of names works too, for names with " + " in them.
Texts in another file (the arguments that a row of pairs names by their ids) cannot be joined in: join them before.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from sampling.json_lines import shorten

SEVERAL = " + "
Row = dict[str, Any]
Column = str | Sequence[str]
Step = str | int | None  # into an object, into a list, through a list

# What each is, for people. formats/mapped.py gives them their meaning.
FIELDS = {
    "prompt": "What is asked, as text or as turns.",
    "messages": "A conversation that ends with what is asked.",
    "system": "The system prompt.",
    "completion": "The answer, where there is one.",
    "completion_a": "The first of two answers.",
    "completion_b": "The second of two answers.",
    "completions": "A list of answers, or several columns.",
    "chosen": "The better answer.",
    "rejected": "The worse answer.",
    "writer": "Who or what wrote the answer.",
    "writer_a": "Who or what wrote the first answer.",
    "writer_b": "Who or what wrote the second answer.",
    "writers": 'The writers of all answers: a list, or as in "model-1_model-2".',
    "preference": "Which is better: a or b, 1 or 2, left or right, a writer's name, a-is-slightly-better; tie or 0.",
    "preference_scale": "Which is better, from -3 (the first, by far) to 3 (the second, by far).",
    "preferred_index": "Which is better, counted from 0.",
    "ranks": "A rank for each answer: 1 is best, equal ones are tied.",
    "scores": "A score for each answer: higher is better, equal ones are tied.",
    "strength": "How much better: significantly better to negligibly better, or 3 to 1.",
    "annotator": "Who judged; a pseudonym of it is kept.",
    "kind": "What judged: person, model or votes.",
    "rationale": "Why.",
    "time": "When it was judged.",
    "seconds": "How long it took, in seconds.",
    "acceptable_a": "Whether the first answer is acceptable: yes or no.",
    "acceptable_b": "Whether the second answer is acceptable: yes or no.",
    "split": "train or eval.",
    "category": "The prompt's category.",
    "language": "The prompt's language.",
    "id": "What the source calls this row.",
    "metadata": "What else is to be kept of the prompt.",
}
JOINED = {"prompt", "system"}

# Columns that are likely to be one of our fields, likeliest first; compared in lower case, letters and digits only.
_LIKELY = {
    "messages": "messages conversation conversations",
    "prompt": "prompt question query instruction problem input q userprompt text",
    "system": "system systemprompt",
    "chosen": "chosen preferred preferredoutput",
    "rejected": "rejected dispreferred nonpreferredoutput",
    "completions": "completions responses answers candidates outputs generations",
    "completion": "completion response answer output bestanswer reply target solution a",
    "writer": "writer model modelname generator",
    "writers": "writers models cmpkey",
    "preference": "preference winner preferred label verdict",
    "preference_scale": "preferencescale preferencestrength overallpreference",
    "preferred_index": "preferredindex betterresponseid choice",
    "ranks": "ranks ranking rank",
    "scores": "scores ratings",
    "strength": "strength preferencelevel",
    "annotator": "annotator annotatorid worker workerid evaluator rater labeler judge",
    "kind": "kind judgedby",
    "rationale": "rationale reason reasoning explanation justification comment",
    "time": "time timestamp submittedat submitted judgedat createdat tstamp date",
    "seconds": "seconds secondsspent duration leadtime",
    "split": "split",
    "category": "category topic domain",
    "language": "language lang locale",
    "id": "id key idx uid uuid questionid promptid",
    "metadata": "metadata meta",
}
# Of two answers, both or none: {} is a and b, 1 and 2, or 0 and 1.
_LIKELY_PAIRS = {
    ("completion_a", "completion_b"): "completion{} response{} answer{} output{} text{}",
    ("writer_a", "writer_b"): "writer{} model{} modelname{}",
    ("acceptable_a", "acceptable_b"): "acceptable{} completion{}isacceptable",
}
_SIDES = (("a", "b"), ("1", "2"), ("0", "1"))
_ONLY_OF_SEVERAL = {  # without answers to compare, a column of such a name is something else
    "writer_a", "writer_b", "writers", "preference", "preference_scale", "preferred_index", "ranks", "scores",
    "strength", "annotator", "rationale", "time", "seconds", "acceptable_a", "acceptable_b", "kind",
}  # fmt: skip
_ONE_OF_MANY = re.compile(r"(annotator|rater|worker|vote|judge|human)_?\d+", re.IGNORECASE)
_SEGMENT = re.compile(r"\[(\d*)\]|([^.\[\]]+)")


@dataclass(frozen=True)
class _Place:
    """One column: as it is called, and as a path; or a constant."""

    name: str
    steps: tuple[Step, ...]
    constant: str | None = None


def apply(row: Row, mapping: Mapping[str, Column]) -> Row:
    """The row under our names. Columns that are not mapped stay, as source_<name> where that is one of our names."""
    plan = _plan(tuple((ours, name if isinstance(name, str) else tuple(name)) for ours, name in mapping.items()))
    meant: Row = {}
    used = set()
    for ours, column in plan:
        places = _places(column, row)
        used.update(_root(place, row) for place in places)
        found = [_at(place, row) for place in places]
        value = _together(ours, places, found)
        if value is not None:
            meant[ours] = value
    _name_annotators(meant, plan, row)
    for name, value in row.items():
        if name not in used:
            meant[f"source_{name}" if name in FIELDS else name] = value
    return meant


def _together(ours: str, places: Sequence[_Place], found: Sequence[Any]) -> Any:
    if ours == "metadata" and not (len(found) == 1 and isinstance(found[0], dict)):
        return {place.name: value for place, value in zip(places, found, strict=True) if value is not None}
    if len(found) == 1:
        return found[0]
    if ours in JOINED and all(value is None or isinstance(value, str | int | float) for value in found):
        return "\n".join(str(value) for value in found if value is not None and str(value).strip())
    return list(found)


def _name_annotators(meant: Row, plan: Iterable[tuple[str, Column]], row: Row) -> None:
    """Where each annotator has a column of answers, the column's name is all that tells who it was."""
    for ours, column in plan:
        places = _places(column, row)
        if ours in ("preference", "preference_scale", "preferred_index") and len(places) > 1:
            meant.setdefault("annotator", [place.name for place in places])


@lru_cache(maxsize=64)
def _plan(mapping: tuple[tuple[str, Column], ...]) -> tuple[tuple[str, Column], ...]:
    return tuple((ours, column) for ours, column in mapping if column and ours in FIELDS)


def _places(column: Column, row: Row) -> tuple[_Place, ...]:
    if isinstance(column, str) and column in row:  # a name may look like a path, or like several
        return (_Place(column, (column,)),)
    return _parsed(column)


@lru_cache(maxsize=256)
def _parsed(column: Column) -> tuple[_Place, ...]:
    names = column.split(SEVERAL) if isinstance(column, str) else column
    return tuple(_place(name.strip()) for name in names)


def _place(name: str) -> _Place:
    if name.startswith("="):
        return _Place(name, (), constant=name[1:])
    steps: list[Step] = []
    for index, key in _SEGMENT.findall(name):
        steps.append(key or (int(index) if index else None))
    return _Place(name, tuple(steps))


def _root(place: _Place, row: Row) -> str:
    return place.name if place.name in row else str(place.steps[0]) if place.steps else ""


def _at(place: _Place, row: Row) -> Any:
    if place.constant is not None:
        return place.constant
    return row[place.name] if place.name in row else _into(row, place.steps)


def _into(value: Any, steps: tuple[Step, ...]) -> Any:
    """What stands at the end of a path; None where there is nothing."""
    for number, step in enumerate(steps):
        match step, value:
            case None, list():
                return [_into(item, steps[number + 1 :]) for item in value]
            case int(), list():
                value = value[step] if step < len(value) else None
            case str(), dict():
                value = value.get(step)
            case _:
                return None
    return value


class Unmet:
    """Which columns of a mapping no row so far has. Cheap for rows that have them: a column that is found is done."""

    def __init__(self, mapping: Mapping[str, Column]) -> None:
        self._missing = {
            ours: list(_parsed(column if isinstance(column, str) else tuple(column)))
            for ours, column in mapping.items()
            if column and ours in FIELDS
        }
        self._whole = {ours: column for ours, column in mapping.items() if isinstance(column, str)}

    def see(self, row: Row) -> None:
        for ours, places in list(self._missing.items()):
            if self._whole.get(ours) in row:
                places = []
            self._missing[ours] = [place for place in places if not _is_there(place, row)]
            if not self._missing[ours]:
                del self._missing[ours]

    def problems(self, columns: Iterable[str]) -> dict[str, str]:
        """By our name, what is missing and what it may have been meant for: ``columns`` are those that there are."""
        columns = list(columns)
        return {
            ours: " ".join(_missed(place, columns) for place in places if place.name)
            for ours, places in self._missing.items()
        }


def _is_there(place: _Place, row: Row) -> bool:
    if place.constant is not None or place.name in row:
        return True
    return len(place.steps) > 1 and _holds(_into(row, place.steps))


def _holds(found: Any) -> bool:
    return any(map(_holds, found)) if isinstance(found, list) else found is not None


def _missed(place: _Place, columns: Sequence[str]) -> str:
    if len(place.steps) > 1 and place.steps[0] in columns:
        return f'No row has anything at "{shorten(place.name)}".'
    like = get_close_matches(place.name, columns, n=1)
    meant = f' Is "{shorten(like[0])}" meant?' if like else ""
    return f'No row has a column "{shorten(place.name)}".{meant}'


def suggest(columns: Iterable[str]) -> dict[str, str]:
    """A mapping by the columns' names: what a person would choose at first sight, to be looked over by one."""
    there: dict[str, str] = {}
    for column in columns:
        there.setdefault(_normal(column), column)
    found = _pairs(there)
    for ours, likely in _LIKELY.items():
        for name in likely.split():
            if name in there and there[name] not in found.values():
                found[ours] = there[name]
                break
    _of_one_kind(found, there)
    if not {"completion_a", "completions", "chosen"} & found.keys():
        return {ours: column for ours, column in found.items() if ours not in _ONLY_OF_SEVERAL}
    many = [column for column in there.values() if _ONE_OF_MANY.fullmatch(column)]
    if len(many) > 1 and not {"preference", "preference_scale", "preferred_index", "ranks"} & found.keys():
        found["preference"] = SEVERAL.join(many)
    return found


def _pairs(there: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for (first, second), likely in _LIKELY_PAIRS.items():
        for one, other in ((name.format(a), name.format(b)) for name in likely.split() for a, b in _SIDES):
            if first not in found and one in there and other in there:
                found |= {first: there[one], second: there[other]}
    return found


def _of_one_kind(found: dict[str, str], there: dict[str, str]) -> None:
    """Answers are said in one way only, and an instruction's input belongs to it."""
    if "messages" in found:
        found.pop("prompt", None)
    elif found.get("prompt") == there.get("instruction", "") and "input" in there:
        found["prompt"] = SEVERAL.join((there["instruction"], there["input"]))
    if not {"chosen", "rejected"} <= found.keys():
        found.pop("chosen", None)
        found.pop("rejected", None)
    ways = (("chosen", "rejected"), ("completion_a", "completion_b"), ("completions",), ("completion",))
    chosen = next((way for way in ways if way[0] in found), ())
    for way in ways:
        if way != chosen:
            for ours in way:
                found.pop(ours, None)


def _normal(column: str) -> str:
    return re.sub(r"[^a-z0-9]", "", column.lower())
