"""Label Studio's exports of its Pairwise and Ranker tags (its guide, "Task format", and the tags' pages).

JSON has a task with all who annotated it: {"id", "data": {"prompt", "answer1", "answer2", ...}, "annotations":
[{"id", "completed_by", "created_at", "lead_time", "was_cancelled", "result": [{"from_name", "to_name": ["answer1",
"answer2"], "type": "pairwise", "value": {"selected": "left" or "right"}}]}]}. JSON_MIN has one annotation a row, its
data and results side by side, with "annotator" and "annotation_id".

"to_name" names tags; which field of "data" a tag shows is in the project's labelling interface, not in the export. So
the two sides are the fields named like the tags, else the ones that are named in pairs (answer1 and answer2,
response_a and response_b ...). Pairwise has no tie. Text areas are the rationale, cancelled annotations are left
out, predictions too. Of rankers only one list can be read: the order of buckets is not in the export either.
"""

from collections.abc import Iterator
from typing import Any

from sampling.intake.formats.conversations import answer, conversation, prompt
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row, has, is_list_of_objects
from sampling.intake.formats.preferences import FIRST, SECOND, Groups, record
from sampling.intake.formats.values import absent, first_of, free_text, kept, optional_number, time, who
from sampling.intake.records import FoundCompletion, FoundJudgment, JudgedBy, Record
from sampling.json_lines import Unusable, shorten

_ASKED = ("prompt", "question", "instruction", "messages", "query", "context", "dialogue", "text")
_STEMS = ("answer", "response", "completion", "output", "summary", "text", "model_answer", "candidate")
_PAIRS = tuple(
    (f"{stem}{joint}{one}", f"{stem}{joint}{other}")
    for stem in _STEMS
    for joint in ("", "_", "-")
    for one, other in (("1", "2"), ("a", "b"), ("A", "B"))
)
_SIDES = {"left": FIRST, "right": SECOND}
_OF_A_ROW = ("annotator", "annotation_id", "created_at", "updated_at", "lead_time")


def recognises(row: Row) -> bool:
    if isinstance(row.get("data"), dict) and isinstance(row.get("annotations"), list):
        return True
    return has(row, "annotation_id", "annotator") and any(_selected(value) for value in row.values())


def reads(row: Row) -> Iterator[Record]:
    data, annotations = row.get("data"), row.get("annotations")
    if not isinstance(data, dict):
        data, annotations = _from_min(row)
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        raise Unusable('"annotations" must be a list of objects with "result". Export from Label Studio as JSON.')
    given = [one for one in annotations if one.get("was_cancelled") is not True]
    results = [(one, result) for one in given for result in _results(one)]
    names, texts = _shown(data, [result for _, result in results])
    judgments = [
        _judgment(one, groups) for one, result in results if (groups := _groups(result, names, data)) is not None
    ]
    asked = next((name for name in _ASKED if name not in names and not absent(data.get(name))), None)
    if asked is None:
        raise Unusable('"data" has no prompt. Name its field "prompt", or map it.')
    completions = [FoundCompletion(answer(written, name)) for name, written in zip(names, texts, strict=True)]
    messages = prompt(conversation(data[asked], asked) if isinstance(data[asked], list) else data[asked], asked)
    metadata = kept(data, asked, *names) | kept(row, only=("id",))
    yield record(messages, completions, judgments, metadata=metadata)


def _from_min(row: Row) -> tuple[Row, list[Row]]:
    found = {name: side for name, value in row.items() if (side := _selected(value))}
    data = {name: value for name, value in row.items() if name not in found and name not in _OF_A_ROW}
    results = [{"type": "pairwise", "value": {"selected": side}, "from_name": name} for name, side in found.items()]
    annotation = {
        "result": results, "id": row.get("annotation_id"), "completed_by": row.get("annotator"),
        "created_at": row.get("created_at"), "lead_time": row.get("lead_time"),
    }  # fmt: skip
    return data, [annotation]


def _selected(value: Any) -> str:
    """The side, where this is JSON_MIN's way of writing one: "left", or the result's own value, alone in a list."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("selected")
    return value if isinstance(value, str) and value in _SIDES else ""


def _results(annotation: Row) -> list[Row]:
    listed = annotation.get("result")
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise Unusable('"annotations.result" must be a list of objects. Export from Label Studio as JSON.')
    return listed


def _shown(data: Row, results: list[Row]) -> tuple[list[str], list[Any]]:
    """What was compared: names, by which results and errors tell them, and texts."""
    for result in results:
        if result.get("type") == "ranker" and (items := _items(data)):
            return list(items), list(items.values())
        if result.get("type") == "pairwise":
            named = result.get("to_name")
            named = named.split(",") if isinstance(named, str) else named
            if isinstance(named, list) and len(named) == 2 and all(isinstance(n, str) and n in data for n in named):
                return named, [data[name] for name in named]
    for pair in _PAIRS:
        if has(data, *pair):
            return list(pair), [data[name] for name in pair]
    if any(result.get("type") in ("pairwise", "ranker") for result in results):
        raise Unusable('Which fields of "data" were compared is not said. Name them answer1 and answer2, or map them.')
    return [], []


def _items(data: Row) -> dict[str, Any]:
    for value in data.values():
        if is_list_of_objects(value) and all(isinstance(item, dict) and "id" in item for item in value):
            return {who(item["id"]): first_of(item, "body", "text", "html", "title") for item in value}
    return {}


def _groups(result: Row, names: list[str], data: Row) -> Groups | None:
    value = result.get("value")
    match result.get("type"):
        case "pairwise":
            side = value.get("selected") if isinstance(value, dict) else None
            if not isinstance(side, str) or side not in _SIDES:
                raise Unusable(f'"selected" is unknown ({shorten(repr(side))}); it must be left or right.')
            return _SIDES[side]
        case "ranker":
            ranker = value.get("ranker") if isinstance(value, dict) else None
            lists = list(ranker.values()) if isinstance(ranker, dict) else [ranker]
            if len(lists) != 1 or not isinstance(lists[0], list):
                raise Unusable("The ranker has several buckets, whose order the export does not say. Map the row.")
            ranked = [who(name) for name in lists[0]]
            if sorted(ranked) != sorted(names):
                raise Unusable('The ranker does not name each item of "data" once. Leave the row out.')
            return tuple((names.index(name),) for name in ranked)
        case _:
            return None


def _judgment(annotation: Row, groups: Groups) -> FoundJudgment:
    return FoundJudgment(
        groups=groups,
        annotator=who(annotation.get("completed_by")),
        by=JudgedBy.PERSON,
        at=time(annotation.get("created_at"), "created_at"),
        rationale="\n\n".join(_said(annotation)),
        seconds_spent=optional_number(annotation.get("lead_time"), "lead_time"),
        source=kept(annotation, only=("id", "ground_truth")) | _chosen(annotation),
    )


def _said(annotation: Row) -> Iterator[str]:
    for result in _results(annotation):
        value = result.get("value")
        if result.get("type") == "textarea" and isinstance(value, dict):
            texts = value.get("text")
            for written in texts if isinstance(texts, list) else [texts]:
                if said := free_text(written, "text"):
                    yield said


def _chosen(annotation: Row) -> Row:
    """What else was clicked, by the tag's name."""
    found: Row = {}
    for result in _results(annotation):
        value, name = result.get("value"), result.get("from_name")
        if result.get("type") in ("choices", "rating") and isinstance(value, dict) and isinstance(name, str):
            found |= kept({name: value.get(result["type"])})
    return found


FORMAT = Format(
    key="label_studio",
    label="Label Studio export",
    example=(
        '{"id": 1, "data": {"prompt": "Name a bird.", "answer1": "A wren.", "answer2": "A bat."}, "annotations": '
        '[{"id": 7, "completed_by": 3, "created_at": "2026-03-09T22:16:08Z", "lead_time": 4.3, "result": [{"from_name":'
        ' "pw", "to_name": ["answer1", "answer2"], "type": "pairwise", "value": {"selected": "left"}}]}]}'
    ),
    gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
    recognises=recognises,
    reads=reads,
)
