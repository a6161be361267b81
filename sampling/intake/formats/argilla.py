"""Argilla's exports (github.com/argilla-io/argilla: argilla/records/_io/_generic.py, and argilla-v1).

Version 2, to_json: {"id", "fields": {...}, "metadata", "responses": {question: [{"value", "user_id"}...]}}; flat, as
pushed to a hub: each field a column, "question.responses", "question.responses.users", "question.responses.status".
Version 1: {"fields", "responses": [{"user_id", "values": {question: {"value"}}, "status"}]}; flat: a column a
question, [{"user_id", "value", "status"}...].

A ranking's value is [{"value": field, "rank": 1}...], {"value": [field...], "rank": [...]} or fields in their order;
a label that is a field's name prefers it to the only other one; ratings count where each answer has one, under
"<field>-rating" (distilabel's) or "rating-<its number>". Answers to questions about reasons are the rationale.
Only submitted answers count. Suggestions are left out: they are what annotators were shown, not what they said.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from sampling.intake.formats.conversations import answer, prompt
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row, is_list_of_objects
from sampling.intake.formats.preferences import FIRST, SECOND, TIE, Groups, by_ranks, by_scores, record
from sampling.intake.formats.values import absent, kept, number, storable, who
from sampling.intake.records import FoundCompletion, FoundJudgment, JudgedBy, Record
from sampling.json_lines import Unusable, check_storable

_ASKED = ("prompt", "instruction", "question", "query", "input", "messages", "conversation", "context", "text")
_COMPLETION = re.compile(r"(response|completion|answer|output|generations?|reply|candidate|model)[-_ ]?\w{0,12}")
_NUMBER = re.compile(r"\d+$", re.ASCII)
_REASON = re.compile(r"rationale|reason|comment|explanation|feedback|why", re.IGNORECASE)
_TIES = ("tie", "equal", "both", "same", "draw")
_SUBMITTED = ("submitted", "completed", None)
_OF_A_RECORD = (
    "id",
    "_server_id",
    "external_id",
    "metadata",
    "vectors",
    "status",
    "responses",
    "suggestions",
    "fields",
)

Answers = dict[str, dict[str, Any]]  # by user: question -> value


def recognises(row: Row) -> bool:
    if isinstance(row.get("fields"), dict) and isinstance(row.get("responses"), dict | list):
        return True
    return any(name.endswith(".responses") or _is_column_of_answers(value) for name, value in row.items())


def _is_column_of_answers(value: Any) -> bool:
    return is_list_of_objects(value) and {"user_id", "value"} <= set(value[0])


def reads(row: Row) -> Iterator[Record]:
    fields, answers = _parts(row)
    names = _completion_fields(fields, answers)
    asked = next((name for name in _ASKED if name not in names and not absent(fields.get(name))), None)
    if asked is None:
        raise Unusable('The record has no field with a prompt. Name it "prompt" or "instruction", or map it.')
    completions = [FoundCompletion(answer(fields[name], name)) for name in names]
    judgments = [found for user, said in answers.items() if (found := _judgment(user, said, names)) is not None]
    metadata = _metadata(row) | kept(fields, asked, "system", *names)
    messages = prompt(fields[asked], asked, system=fields.get("system"))
    yield record(messages, completions, judgments, metadata=metadata)


def _parts(row: Row) -> tuple[Row, Answers]:
    answers: Answers = {}
    if isinstance(row.get("fields"), dict):
        for user, question, value in _nested(row.get("responses")):
            answers.setdefault(user, {})[question] = value
        return row["fields"], answers
    fields = {}
    for name, value in row.items():
        if _is_column_of_answers(value):
            for user, _, said in _of_question(name, value):
                answers.setdefault(user, {})[name] = said
        elif name.endswith(".responses") and isinstance(value, list):
            question = name.removesuffix(".responses")
            for user, said in _flat(row, name, value):
                answers.setdefault(user, {})[question] = said
        elif ".responses" not in name and ".suggestion" not in name and "-suggestion" not in name:
            fields[name] = value
    return {name: value for name, value in fields.items() if name not in _OF_A_RECORD}, answers


def _nested(responses: Any) -> Iterator[tuple[str, str, Any]]:
    if isinstance(responses, dict):  # version 2
        for question, given in responses.items():
            yield from _of_question(question, given)
    for response in responses if isinstance(responses, list) else ():
        if not isinstance(response, dict) or not isinstance(response.get("values"), dict):
            raise Unusable('"responses" must be a list of {"user_id", "values", "status"}.')
        if response.get("status") in _SUBMITTED:
            for question, said in response["values"].items():
                yield who(response.get("user_id")), question, said.get("value") if isinstance(said, dict) else said


def _of_question(question: str, given: Any) -> Iterator[tuple[str, str, Any]]:
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise Unusable('"responses" must hold lists of {"value", "user_id"}.')
    for one in given:
        if one.get("status") in _SUBMITTED:
            yield who(one.get("user_id")), question, one.get("value")


def _flat(row: Row, name: str, values: list[Any]) -> Iterator[tuple[str, Any]]:
    users, states = row.get(f"{name}.users"), row.get(f"{name}.status")
    for at, value in enumerate(values):
        user = users[at] if isinstance(users, list) and at < len(users) else None
        state = states[at] if isinstance(states, list) and at < len(states) else None
        if state in _SUBMITTED:
            yield who(user), value


def _completion_fields(fields: Row, answers: Answers) -> list[str]:
    """The fields that were compared: those that a ranking names, else those that are named like answers."""
    ranked = {item for said in answers.values() for value in said.values() for item, _ in _ranking(value)}
    by_plain = {_plain(name): name for name in fields}
    if ranked and all(_plain(item) in by_plain for item in ranked):
        named = {by_plain[_plain(item)] for item in ranked}
        return [name for name in fields if name in named]
    found = [name for name, value in fields.items() if isinstance(value, str) and _COMPLETION.fullmatch(name.lower())]
    if ranked and len(ranked) != len(found):
        raise Unusable("Which fields the ranking is of is not said. Name its values like the fields, or map them.")
    return found


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def _ranking(value: Any) -> list[tuple[str, Any]]:
    """(what is ranked, its rank) of a ranking's value; nothing for an answer to another kind of question."""
    if isinstance(value, dict) and isinstance(value.get("value"), list) and isinstance(value.get("rank"), list):
        pairs = list(zip(value["value"], value["rank"], strict=False))
    elif is_list_of_objects(value) and all(isinstance(one, dict) and {"value", "rank"} <= set(one) for one in value):
        pairs = [(one["value"], one["rank"]) for one in value]
    else:
        return []
    return [(item, rank) for item, rank in pairs if isinstance(item, str) and rank is not None]


def _judgment(user: str, said: dict[str, Any], names: list[str]) -> FoundJudgment | None:
    if len(names) < 2:
        return None
    found = next((groups for value in said.values() if (groups := _groups(value, names))), None)
    found = found or _by_ratings(said, names)
    if found is None:
        return None
    reasons = [value for question, value in said.items() if isinstance(value, str) and _REASON.search(question)]
    for reason in reasons:
        check_storable(reason, "a rationale")
    rest = {question: value for question, value in said.items() if value not in reasons and not _ranking(value)}
    return FoundJudgment(
        found, annotator=user, by=JudgedBy.PERSON, rationale="\n\n".join(filter(None, reasons)), source=kept(rest)
    )


def _groups(value: Any, names: list[str]) -> Groups | None:
    plain = [_plain(name) for name in names]
    if pairs := _ranking(value):
        items = [_plain(item) for item, _ in pairs]
        if set(items) != set(plain):  # values with names of their own: by their order
            plain = list(dict.fromkeys(sorted(items)))
        if sorted(items) != sorted(plain) or len(plain) != len(names):
            raise Unusable("A ranking does not name each answer once. Leave the row out.")
        return by_ranks({plain.index(item): number(rank, "rank") for item, (_, rank) in zip(items, pairs, strict=True)})
    if isinstance(value, list) and all(isinstance(item, str) for item in value):  # version 2: fields in their order
        items = [_plain(item) for item in value]
        return tuple((plain.index(item),) for item in items) if sorted(items) == sorted(plain) else None
    if isinstance(value, str) and len(names) == 2:
        said = _plain(value)
        if said in plain and plain[0] != plain[1]:
            return (FIRST, SECOND)[plain.index(said)]
        return TIE if said in _TIES else None
    return None


def _by_ratings(said: dict[str, Any], names: list[str]) -> Groups | None:
    by_plain = {_plain(question): value for question, value in said.items()}
    scores = []
    for name in names:
        numbered = _NUMBER.search(name)
        rating = by_plain.get(_plain(name) + "rating", by_plain.get(f"rating{numbered.group()}") if numbered else None)
        if absent(rating) or isinstance(rating, bool | list | dict):
            return None
        scores.append(number(rating, "rating"))
    return by_scores(scores)


def _metadata(row: Row) -> Row:
    found = row.get("metadata")
    if isinstance(found, str) and found.startswith("{"):  # version 1 pushes it as JSON
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            found = None
    own = storable(found, "metadata") if isinstance(found, dict) else {}
    return own | kept(row, only=("id", "external_id"))


FORMAT = Format(
    key="argilla",
    label="Argilla export",
    example=(
        '{"id": "r1", "fields": {"prompt": "Name a bird.", "response1": "A wren.", "response2": "A bat."}, "metadata": '
        '{"category": "nature"}, "responses": {"ranking": [{"value": [{"value": "response1", "rank": 1}, {"value": '
        '"response2", "rank": 2}], "user_id": "u-7"}]}}'
    ),
    gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
    recognises=recognises,
    reads=reads,
)
