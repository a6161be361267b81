"""What an imported judgment is beside those that are kept already: new, the same again, a revision or a contradiction.

- The same words of the same annotator on the same comparison are the same judgment: nothing is added.
- A second, different one of a named annotator is a revision, in the order of the file. One that was given earlier than
  what is kept of them already is not kept, and its row is reported: what they said later counts anyway. (A judgment is
  never edited, so nothing is put in before it.)
- A second, different one of nobody in particular is a contradiction and its row is reported; or, where whoever imports
  says that they are different people, it is the next person's. Such a one is known again by where it stands: its line.

The database is asked three times a batch, however many judgments it has.
"""

import uuid
from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from django.db import connection

from annotation.models import JudgeKind, Judgment
from sampling.intake.records import JudgedBy

KEYS = uuid.UUID("6b0d1a7e-52f4-5c0f-9a55-0d6f1c2f7b1e")
CONTENT = ("ranking", "strengths", "marks", "all_bad", "rationale")
UNKNOWN_TIME = "unknown"  # source["time"]: the time of the judgment is that of its import
OURS = ("by", "format", "time", "unnamed", "order", "marks")  # keys of ``source`` that are not the source's own

LAST_UNNAMED = """
    SELECT comparison_id, max((source->>'unnamed')::int) FROM annotation_judgment
    WHERE kind = 'imported' AND source ? 'unnamed' AND comparison_id = ANY(%s) GROUP BY comparison_id
"""


class NotKept(Exception):
    """Why a judgment cannot be kept beside those that are there, in words."""


def unnamed(by: JudgedBy, number: int) -> str:
    """The name under which a judgment without an annotator is kept: the first of its record has number 0."""
    return f"unnamed:{by}:{number}"


@dataclass(slots=True)
class Said:
    """One judgment of the source, in ids of ours. ``annotator`` is empty where it is the next unnamed person's."""

    comparison_id: int
    annotator: str
    is_named: bool
    content: Mapping[str, Any]
    at: datetime | None
    seconds_spent: float | None
    by: JudgedBy
    source: dict[str, Any]
    where: tuple[int, int]  # line, and place in the row's record
    key: uuid.UUID | None = None
    revision: int = 1
    supersedes: "Said | int | None" = None  # one of the same batch, or the id of one that is kept
    judgment: Judgment | None = None

    def as_judgment(self, people: Mapping[str, int], source_format: str, now: datetime, **common: Any) -> Judgment:
        """A row of ours. What it supersedes must be kept by then."""
        earlier = self.supersedes.judgment.pk if isinstance(self.supersedes, Said) else self.supersedes
        source = self.source | {"by": self.by.value, "format": source_format}
        self.judgment = Judgment(
            **common,
            **self.content,
            comparison_id=self.comparison_id,
            annotator_id=people[self.annotator],
            source=source if self.at else source | {"time": UNKNOWN_TIME},
            seconds_spent=self.seconds_spent,
            created_at=self.at or now,
            revision=self.revision,
            supersedes_id=earlier,
            request_key=self.key,
        )
        return self.judgment


@dataclass(frozen=True, slots=True)
class _Last:
    """The newest that is kept of one annotator on one comparison."""

    said: "Said | int"
    revision: int
    content: Mapping[str, Any]
    at: datetime | None  # None where the source did not say


class Decisions:
    """What becomes of the judgments of a batch, one after the other. A line is kept as a whole or not at all."""

    def __init__(self, comparisons: Collection[int], said: Sequence[Said], people: Mapping[str, int]) -> None:
        """``people``: the ids of all annotators that ``said`` names."""
        for each in said:
            each.key = _key_of(each, people)
        known = Judgment.objects.filter(request_key__in=[each.key for each in said])
        self._known = dict.fromkeys(known.values_list("request_key", flat=True), True)
        self._last = _read_last(comparisons, people)
        are_others = any(not each.annotator for each in said)
        self._unnamed = _last_unnamed(comparisons) if are_others else {}
        self.new: list[Said] = []

    def keep_line(self, said: Sequence[Said]) -> list[bool]:
        """Of each judgment of one line, whether it is new. Raises NotKept; then nothing of the line is."""
        line = _Line(*(ChainMap({}, kept) for kept in (self._known, self._last, self._unnamed)))
        are_new = [line.add(each) for each in said]
        for kept, further in zip((self._known, self._last, self._unnamed), line, strict=True):
            kept |= further.maps[0]
        self.new += [each for each, is_new in zip(said, are_new, strict=True) if is_new]
        return are_new

    def in_rounds(self) -> Iterator[list[Said]]:
        """What is new, so that whatever is superseded comes in an earlier round than what supersedes it."""
        for revision in sorted({each.revision for each in self.new}):
            yield [each for each in self.new if each.revision == revision]


class _Line(NamedTuple):
    """What is kept, with what one line adds to it in front."""

    known: ChainMap[uuid.UUID, bool]
    last: ChainMap[tuple[int, str], _Last]
    unnamed: ChainMap[int, int]  # by comparison: how many people without a name have judged it

    def add(self, said: Said) -> bool:
        """Whether it is new; it learns then what it supersedes, and whose it is. Raises NotKept."""
        if said.key in self.known:
            return False
        if not said.annotator:
            number = self.unnamed[said.comparison_id] = self.unnamed.get(said.comparison_id, 0) + 1
            said.annotator, said.source["unnamed"] = f"unnamed-{number}", number
        elif before := self.last.get((said.comparison_id, said.annotator)):
            if before.content == said.content:
                return False
            _check_may_follow(before, said)
            said.revision, said.supersedes = before.revision + 1, before.said
        self.last[said.comparison_id, said.annotator] = _Last(said, said.revision, said.content, said.at)
        self.known[said.key] = True
        return True


def _key_of(said: Said, people: Mapping[str, int]) -> uuid.UUID:
    who = people[said.annotator] if said.annotator else [said.by.value, *said.where]
    at = said.at and said.at.astimezone(UTC)
    told = [said.comparison_id, who, said.content, at]
    return uuid.uuid5(KEYS, orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode())


def _read_last(comparisons: Collection[int], people: Mapping[str, int]) -> dict[tuple[int, str], _Last]:
    names = {pk: name for name, pk in people.items()}
    kept = Judgment.objects.filter(kind=JudgeKind.IMPORTED, comparison__in=comparisons, annotator__in=list(names))
    columns = ("pk", "comparison_id", "annotator_id", "revision", "created_at", "source", *CONTENT)
    last = {}
    for pk, comparison, annotator, revision, at, source, *content in kept.order_by("revision").values_list(*columns):
        is_timed = source.get("time") != UNKNOWN_TIME
        said = dict(zip(CONTENT, content, strict=True))
        last[comparison, names[annotator]] = _Last(pk, revision, said, at if is_timed else None)
    return last


def _last_unnamed(comparisons: Collection[int]) -> dict[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(LAST_UNNAMED, [list(comparisons)])
        return dict(cursor.fetchall())


def _check_may_follow(before: _Last, said: Said) -> None:
    if not said.is_named:
        raise NotKept(
            "These completions were judged differently before by somebody who is not named either. Where these are "
            'different people, take "Judgments without an annotator are one annotator\'s" away and import again.'
        )
    if before.at and said.at and said.at < before.at:
        raise NotKept(
            f"The same annotator judged these completions differently on {before.at:%Y-%m-%d %H:%M:%S}, which is "
            "later: that counts. Sort the source by time to have this one on record too."
        )
