"""Rows whose columns somebody named: `sampling.intake.mapping.apply` puts them under the names that are read here.

What is asked ("prompt" or "messages", "system"), the answers ("completion"; "completion_a" and "completion_b";
"chosen" and "rejected"; or "completions", each a text or {"text", "model"}) and their writers, and what was said of the
answers; of several answers one may be empty. A judgment is said in one of these ways, for each of which a list means
several annotators' judgments:

- preference: by words, of two answers. a, b; 1, 2; left, right; first, second; model_a, response_2 and the like; a
  writer's name; "tie", "equal", "same", "both", "draw" or 0 for a tie; "tie (bothbad)", "both bad" or "neither" for a
  tie of bad ones. "a is better" and A>B say a strength too: significantly, much, far (A>>B) / none (A>B) / slightly /
  negligibly, marginally, barely. Numbers count from 1, and 0 is a tie: one that counts from 0 is a preferred_index.
- preference_scale: -3 to 3, negative where the first is better, 0 a tie; the strengths are HelpSteer's.
- preferred_index: of two answers, 0 for the first, 1 for the second.
- ranks (1 is best) or scores (higher is better) for each answer; equal ones are tied.

An annotator without an answer gave no judgment. What is not mapped is kept, as far as it is small: with the judgments'
source where there are any, else with the prompt's metadata.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sampling.intake.formats import conversations
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row
from sampling.intake.formats.preferences import (
    FIRST,
    LEVELS,
    SECOND,
    TIE,
    Groups,
    by_ranks,
    by_scores,
    on_helpsteer_scale,
    record,
    strength_of,
)
from sampling.intake.formats.prompt_completion import completion_in
from sampling.intake.formats.values import (
    PROMPT_FIELDS,
    absent,
    free_text,
    judged_by,
    kept,
    name_of,
    number,
    optional_number,
    split,
    storable,
    time,
    who,
    whole,
)
from sampling.intake.mapping import FIELDS
from sampling.intake.records import FoundCompletion, FoundJudgment, Message, Record
from sampling.json_lines import Unusable, kind, shorten

SAYS_WHICH = ("preference", "preference_scale", "preferred_index", "ranks", "scores")
OF_EACH_JUDGMENT = ("annotator", "kind", "rationale", "time", "seconds", "strength")
BOTH_BAD = {"tie bothbad", "both bad", "bothbad", "neither"}
MOST_WORDS = 100  # characters
TIES = {"tie", "ties", "tied", "equal", "same", "both", "draw", "0", "a=b", "="} | BOTH_BAD
_THING = r"(?:model|completion|response|answer|output|option|assistant|candidate|text|arg|argument)? ?"
_FIRST_SIDE = re.compile(rf"{_THING}(?:a|1|left|first)|a1")
_SECOND_SIDE = re.compile(rf"{_THING}(?:b|2|right|second)|a2")
_IS_BETTER = re.compile(
    r"(?P<side>.+?)(?: is)? (?:(?P<how>significantly|much|far|strongly|slightly|negligibly|marginally|barely) )?better"
)
_NEGATIVE = re.compile(r"-\d.*")
_GREATER = re.compile(r"(?P<left>[ab]) ?(?P<sign>>>|>|<<|<) ?(?P<right>[ab])")
_HOW = {
    **dict.fromkeys(("significantly", "much", "far", "strongly", ">>", "<<"), "significantly_better"),
    **dict.fromkeys((None, ">", "<"), "better"),
    "slightly": "slightly_better",
    **dict.fromkeys(("negligibly", "marginally", "barely"), "negligibly_better"),
}
_YES = {"yes": 1, "true": 1, "1": 1, "acceptable": 1, "no": 0, "false": 0, "0": 0, "unacceptable": 0}


def reads(row: Row) -> Iterator[Record]:
    messages = _messages(row)
    completions, places = _completions(row)
    judgments = _judgments(row, completions, places)
    others = kept(row, *FIELDS)
    if not absent(row.get("id")):
        others["id"] = storable(row["id"], "id")
    metadata = _metadata(row)
    if judgments:
        metadata |= {name: others.pop(name) for name in PROMPT_FIELDS if name in others}
        judgments = [replace(judgment, source=others) for judgment in judgments]
    else:
        metadata = others | metadata
    yield record(messages, completions, judgments, metadata=metadata, of_split=split(row.get("split")))


def _messages(row: Row) -> tuple[Message, ...]:
    asked = [name for name in ("prompt", "messages") if not absent(row.get(name))]
    if not asked:
        raise Unusable("The row has no prompt: the column that is mapped to it is empty, or not there.")
    if len(asked) > 1:
        raise Unusable('Both "prompt" and "messages" are mapped; map one of them.')
    return conversations.prompt(row[asked[0]], asked[0], system=row.get("system"))


def _metadata(row: Row) -> dict[str, Any]:
    stated = row.get("metadata")
    found = storable(stated, "metadata") if isinstance(stated, dict) else {}
    for name in ("category", "language"):
        if not absent(row.get(name)):
            found[name] = storable(row[name], name)
    return found


# --- answers ------------------------------------------------------------------------------------------------------


def _completions(row: Row) -> tuple[list[FoundCompletion], list[int]]:
    """The answers, and each one's place in the source: a list may have holes, for rows with fewer answers."""
    ways = [
        names
        for names in (("completion",), ("completion_a", "completion_b"), ("chosen", "rejected"), ("completions",))
        if any(name in row for name in names)
    ]
    if len(ways) > 1:
        raise Unusable(f"The answers are mapped in {len(ways)} ways ({', '.join(way[0] for way in ways)}); map one.")
    if not ways:
        return [], []
    if ways[0] != ("completions",):
        writers = _writers(row, len(ways[0]))
        texts = [conversations.completion(row.get(name), name) for name in ways[0]]
        return list(map(FoundCompletion, texts, writers)), list(range(len(texts)))
    listed = row["completions"]
    if not isinstance(listed, list):
        raise Unusable(f'"completions" is {kind(listed)}; it must be a list of answers, or several columns.')
    places = [at for at, item in enumerate(listed) if not absent(item) or (item == "" and _is_judged(row, listed, at))]
    writers = _writers(row, len(listed))
    found = [completion_in(listed[at], f"completions[{at}]") for at in places]
    named = [replace(one, writer=one.writer or writers[at]) for at, one in zip(places, found, strict=True)]
    return named, places


def _is_judged(row: Row, listed: list[Any], at: int) -> bool:
    """Whether an empty answer was compared; else it is how a table writes that this row has fewer answers."""
    for name in ("ranks", "scores"):
        said = row.get(name)
        lists = said if isinstance(said, list) and any(isinstance(one, list) for one in said) else [said]
        if any(isinstance(one, list) and at < len(one) and not absent(one[at]) for one in lists):
            return True
    return len(listed) == 2 and any(not absent(row.get(name)) for name in SAYS_WHICH[:3])


def _writers(row: Row, count: int) -> list[str]:
    if "writer_a" in row or "writer_b" in row:
        named = [row.get("writer_a"), row.get("writer_b")]
    elif absent(row.get("writers")):
        named = [row.get("writer")] * count
    else:
        named = row["writers"] if isinstance(row["writers"], list) else _divided(row["writers"], count)
    if len(named) != count:
        raise Unusable(f"{len(named)} writers are named for {count} answers. Name one for each.")
    return [name_of(name, "writer") for name in named]


def _divided(names: Any, count: int) -> list[str]:
    """One text that names all: "bloom-7b_llama-7b"."""
    for divider in (" vs. ", " vs ", "_vs_", "|", ",", "_", " "):
        parts = [part.strip() for part in str(names).split(divider)]
        if len(parts) == count and all(parts):
            return parts
    raise Unusable(f'"writers" ({shorten(str(names))}) does not fall into {count} names. Map a column for each.')


# --- judgments ----------------------------------------------------------------------------------------------------


def _judgments(row: Row, completions: Sequence[FoundCompletion], places: Sequence[int]) -> list[FoundJudgment]:
    says = [name for name in SAYS_WHICH if not absent(row.get(name))]
    if len(says) > 1:
        raise Unusable(f"Which answer is better is mapped in {len(says)} ways ({', '.join(says)}); map one.")
    if not says:
        is_said = "chosen" in row
        return [_judgment(row, (FIRST, (), False), completions)] if is_said else []
    if len(completions) < 2:
        raise Unusable(f'"{says[0]}" is mapped, but the row has {len(completions)} answers. Map two or more.')
    judgments = []
    for answer, about in _each(row, says[0]):
        if not absent(answer) and answer != []:
            judgments.append(_judgment(about, _said(says[0], answer, completions, places), completions))
    return judgments


def _each(row: Row, name: str) -> Iterator[tuple[Any, Row]]:
    """Each annotator's answer, with what else is said of that one: a list has an item for each."""
    answers = row[name]
    several = isinstance(answers, list)
    if name in ("ranks", "scores"):  # a list is one annotator's; of lists, several annotators'
        several = several and any(isinstance(one, list) for one in answers)
    if not several:
        yield answers, row
        return
    for at, answer in enumerate(answers):
        about = dict(row)
        for field in OF_EACH_JUDGMENT:
            if isinstance(row.get(field), list):
                if len(row[field]) != len(answers):
                    raise Unusable(f'"{field}" has {len(row[field])} values for {len(answers)} of "{name}".')
                about[field] = row[field][at]
        yield answer, about


def _said(
    name: str, answer: Any, completions: Sequence[FoundCompletion], places: Sequence[int]
) -> tuple[Groups, tuple[str, ...], bool]:
    """(groups, strengths, whether all are bad)."""
    if name in ("ranks", "scores"):
        return _listed(name, answer, places), (), False
    if len(completions) != 2:
        raise Unusable(f'"{name}" is of two answers, and the row has {len(completions)}. Map ranks or scores instead.')
    if name == "preference_scale":
        return *on_helpsteer_scale(whole(answer, name, range(-3, 4))), False
    if name == "preferred_index":
        return (FIRST, SECOND)[whole(answer, name, (0, 1))], (), False
    return _by_words(answer, [completion.writer for completion in completions])


def _listed(name: str, answer: Any, places: Sequence[int]) -> Groups:
    if not isinstance(answer, list) or len(answer) <= max(places):
        raise Unusable(f'"{name}" must be a list with a number for each answer.')
    numbers = [number(answer[place], f"{name}[{place}]") for place in places]
    return by_scores(numbers) if name == "scores" else by_ranks(dict(enumerate(numbers)))


def _by_words(answer: Any, writers: Sequence[str]) -> tuple[Groups, tuple[str, ...], bool]:
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise Unusable(f'"preference" is {kind(answer)}; it must be a word such as a, b or tie, or 1, 2 or 0.')
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)  # a column with holes in it
    if isinstance(answer, str) and answer.strip() in writers and writers[0] != writers[1]:
        return (FIRST, SECOND)[writers.index(answer.strip())], (), False
    words = " ".join(re.sub(r"[-_()]", " ", str(answer).lower()).split())
    if len(words) > MOST_WORDS or _NEGATIVE.fullmatch(str(answer).strip()):
        words = ""
    if words in TIES:
        return TIE, (), words in BOTH_BAD
    if found := _GREATER.fullmatch(words):
        is_first = (found["left"] == "a") == (found["sign"][0] == ">")
        if found["left"] != found["right"]:
            return (FIRST if is_first else SECOND), (_HOW[found["sign"]],), False
    strengths: tuple[str, ...] = ()
    side = words
    if found := _IS_BETTER.fullmatch(words):
        side, strengths = found["side"], (_HOW[found["how"]],)
    if _FIRST_SIDE.fullmatch(side):
        return FIRST, strengths, False
    if _SECOND_SIDE.fullmatch(side):
        return SECOND, strengths, False
    raise Unusable(
        f'"preference" is {shorten(repr(answer))}, which names no answer. It may be a, b or tie; 1, 2 or 0; left or '
        "right; a writer's name; or a-is-slightly-better. A number from -3 to 3 is a preference_scale."
    )


def _judgment(
    about: Row, said: tuple[Groups, tuple[str, ...], bool], completions: Sequence[FoundCompletion]
) -> FoundJudgment:
    groups, strengths, all_bad = said
    stated = _strength(about.get("strength"))
    if stated and len(groups) == 2:
        strengths = (stated,)
    return FoundJudgment(
        groups=groups,
        strengths=strengths,
        annotator=who(about.get("annotator")),
        by=judged_by(about.get("kind")),
        at=time(about.get("time"), "time"),
        rationale=free_text(about.get("rationale"), "rationale"),
        seconds_spent=_seconds(about.get("seconds")),
        all_bad=all_bad,
        marks=_marks(about) if len(completions) == 2 else {},
    )


def _strength(value: Any) -> str:
    if isinstance(value, int | float) or (isinstance(value, str) and value.strip().isdigit()):
        return LEVELS[whole(value, "strength", LEVELS)]
    return strength_of(value)


def _seconds(value: Any) -> float | None:
    seconds = optional_number(value, "seconds")
    if seconds is not None and seconds < 0:
        raise Unusable(f'"seconds" is {shorten(str(value))}; it must not be negative.')
    return seconds


def _marks(row: Row) -> dict[int, dict[str, Any]]:
    marks = {}
    for position, name in enumerate(("acceptable_a", "acceptable_b")):
        if not absent(row.get(name)):
            answer = _YES.get(str(row[name]).strip().lower())
            if answer is None:
                raise Unusable(f'"{name}" is {shorten(repr(row[name]))}; it must be yes or no.')
            marks[position] = {"aspects": {"acceptable": answer}}
    return marks


FORMAT = Format(
    key="mapped",
    label="columns that you name",
    example='{"prompt": "Why is the sky blue?", "completion_a": "Light scatters.", "completion_b": "Who knows?", '
    '"preference": "a", "annotator": "carol"}',
    gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
    recognises=lambda row: False,
    reads=reads,
    named_only=True,
)
