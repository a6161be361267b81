"""Who judged elsewhere is kept by a pseudonym only; so the rows that are shown, or kept as left out, do not name them.

As far as it is known where a row says it: under a name of a column that means whoever judged, or the columns that a
person mapped to it. What somebody wrote about themselves in a text is not found.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sampling.intake.mapping import SEVERAL
from sampling.intake.records import JudgedBy

# As names of columns without case and signs: of the formats that are read here, and of the tools that write them.
WHO = frozenset(
    f"{who}{part}"
    for who in ("annotator", "worker", "evaluator", "rater", "labeler", "labeller", "reviewer", "user")
    for part in ("", "id", "name", "email")
    if who + part != "user"  # a turn's role in some conversations
) | {"completedby", "judge", "judgeid", "email", "users"}  # fmt: skip
# Judges of no privacy; what a format takes for a model must still be one when the row is imported again.
MODELS = ("gpt", "claude", "llama", "gemini", "mistral", "qwen", "command", "deepseek", "majority")
KEY = r'"(?P<key>(?:[^"\\]|\\.){1,100})"\s*:'
STORED = re.compile(  # where a row cannot be parsed: it is cut, or broken
    rf'(?P<before>{KEY}\s*)(?P<value>"(?:[^"\\]|\\.)*(?:"|\Z)|-?\d[\d.]*)'
)

AsWhom = Callable[[str], str]


def columns_of_names(options: Mapping[str, Any]) -> frozenset[str]:
    """The columns that were mapped to who judged, as they are called in the source."""
    chosen = options.get("mapping", {}).get("annotator") or ()
    several = chosen.split(SEVERAL) if isinstance(chosen, str) else chosen
    return frozenset(name for place in several for name in (place.strip(), place.strip().rpartition(".")[2]) if name)


def without_names(content: str, columns: Collection[str], as_whom: AsWhom) -> str:
    """A row's text; as it stands where it names nobody."""
    if not any(names_somebody(found["key"], columns) for found in re.finditer(KEY, content)):
        return content
    try:
        return _storable(json.dumps(_hidden(json.loads(content), columns, as_whom), ensure_ascii=False))
    except (ValueError, RecursionError):
        return STORED.sub(lambda found: _hidden_text(found, columns, as_whom), content)


def _hidden(value: Any, columns: Collection[str], as_whom: AsWhom) -> Any:
    match value:
        case dict():
            return {
                key: _name(item, as_whom) if names_somebody(key, columns) else _hidden(item, columns, as_whom)
                for key, item in value.items()
            }
        case list():
            return [_hidden(item, columns, as_whom) for item in value]
        case _:
            return value


def _hidden_text(found: re.Match[str], columns: Collection[str], as_whom: AsWhom) -> str:
    if not names_somebody(found["key"], columns):
        return found[0]
    written = found["value"]
    return found["before"] + json.dumps(_name(written.strip('"'), as_whom), ensure_ascii=False)


def names_somebody(key: str, columns: Collection[str] = ()) -> bool:
    """Whether a column of this name says who judged."""
    return key in columns or re.sub(r"[^a-z0-9]", "", key.rpartition(".")[2].lower()) in WHO


def _name(value: Any, as_whom: AsWhom) -> Any:
    """A name, a number, the object that a tool writes for a user, or a list of these."""
    match value:
        case list():
            return [_name(item, as_whom) for item in value]
        case dict():
            found = next((value[key] for key in ("id", "email", "username", "name") if value.get(key) is not None), "")
            return _name(found, as_whom)
        case None | bool() | "":
            return value
        case float() if value.is_integer():
            return as_whom(str(int(value)))
    name = _storable(str(value)).strip()
    return name if name.lower().startswith(MODELS) else as_whom(name)


def _storable(text: str) -> str:
    """An escape in JSON may stand for half a character, which no database holds."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


# --- what a look saw --------------------------------------------------------------------------------------------


def seen_without_names(seen: Mapping[str, Any], columns: Collection[str]) -> dict[str, Any]:
    """`DataImport.seen` with "annotator 1", "annotator 2" ... for whoever the shown rows name."""
    numbers: dict[str, str] = {}

    def as_whom(name: str) -> str:
        return numbers.setdefault(name, f"annotator {len(numbers) + 1}") if name else ""

    def told(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "content": without_names(row.get("content", ""), columns, as_whom)} for row in rows]

    return {
        **seen,
        "first_rows": [without_names(row, columns, as_whom) for row in seen.get("first_rows", ())],
        "first_records": [_record(record, as_whom) for record in seen.get("first_records", ())],
        "rejected_first": told(seen.get("rejected_first", ())),
        "filters": [{**step, "examples": told(step.get("examples", ()))} for step in seen.get("filters", ())],
    }


def _record(record: Mapping[str, Any], as_whom: AsWhom) -> dict[str, Any]:
    judged = [
        each if each.get("by") == JudgedBy.MODEL else {**each, "annotator": _name(each.get("annotator", ""), as_whom)}
        for each in record.get("judgments", ())
    ]
    return {**record, "judgments": judged}


def seen_without_rows(seen: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a look once the import is undone: numbers, and nothing that stood in the source."""
    filters = [{**step, "examples": []} for step in seen.get("filters", ())]
    return {**seen, "first_rows": [], "first_records": [], "rejected_first": [], "filters": filters}
