"""K-way rankings with ties, one row per annotator: Whetstone's own layout "rankings", which its exports write.

    {"prompt": [{"role", "content"}...],            turns, the last one the user's; a text is read as one turn
     "completions": [{"text", "model"}...],         in any order, which the ranking's positions name; 0 is the first
     "ranking": [[0], [1, 2]],                      groups of positions, best first; those of one group are tied
     "strengths": ["better"],                       one between each two groups (annotation/rules/ranking.py), or []
     "annotator": "...", "kind": "person",          a pseudonym; person, simulated, model, votes: empty if not known
     "time": "2026-05-01T12:00:00+00:00",           when it was judged, ISO 8601
     "rationale": "...", "all_bad": false, "seconds_spent": 12.5,
     "split": "train"}

Only prompt, completions and ranking are needed; null and missing mean the same. "ranks", a rank for each completion
(1 is best, equal ones are tied), may stand for "ranking". What else a completion holds is its metadata, except
safety, aspects and defects, which are the annotator's marks; other fields are kept in the judgment's source.
"""

from collections.abc import Iterator
from typing import Any

from sampling.intake.formats import conversations
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row, has_any
from sampling.intake.formats.preferences import (
    Groups,
    by_ranks,
    metadata_of,
    record,
    split_of,
    strengths_of,
    without_marks,
)
from sampling.intake.formats.prompt_completion import completion_in
from sampling.intake.formats.values import PROMPT_FIELDS, free_text, judged_by, kept, number, optional_number, time, who
from sampling.intake.records import FoundJudgment, Record
from sampling.json_lines import Unusable, kind

_READ = (
    "prompt", "system", "completions", "ranking", "ranks", "strengths", "annotator", "kind", "time", "rationale",
    "all_bad", "seconds_spent", "split", "metadata", *PROMPT_FIELDS,
)  # fmt: skip


def recognises(row: Row) -> bool:
    return isinstance(row.get("completions"), list) and has_any(row, "ranking", "ranks") and has_any(row, "prompt")


def reads(row: Row) -> Iterator[Record]:
    messages = conversations.prompt(row.get("prompt"), system=row.get("system"))
    listed = row.get("completions")
    if not isinstance(listed, list) or len(listed) < 2:
        raise Unusable('"completions" must be a list of at least two {"text", "model"}.')
    completions, marks = without_marks(completion_in(item, f"completions[{at}]") for at, item in enumerate(listed))
    groups = _groups(row, len(completions))
    judgment = FoundJudgment(
        groups=groups,
        strengths=strengths_of(row.get("strengths"), len(groups) - 1),
        annotator=who(row.get("annotator")),
        by=judged_by(row.get("kind")),
        at=time(row.get("time"), "time"),
        rationale=free_text(row.get("rationale"), "rationale"),
        seconds_spent=optional_number(row.get("seconds_spent"), "seconds_spent"),
        all_bad=row.get("all_bad") is True,
        marks=marks,
        source=kept(row, *_READ),
    )
    yield record(messages, completions, [judgment], metadata=metadata_of(row), of_split=split_of(row))


def _groups(row: Row, count: int) -> Groups:
    ranks = row.get("ranks")
    if row.get("ranking") is None and isinstance(ranks, list):
        if len(ranks) != count:
            raise Unusable(f'"ranks" has {len(ranks)} ranks for {count} completions. Give one for each.')
        return by_ranks({at: number(rank, f"ranks[{at}]") for at, rank in enumerate(ranks)})
    return checked_groups(row.get("ranking"), count)


def checked_groups(value: Any, count: int) -> Groups:
    """Groups that name each of ``count`` positions once. Raises Unusable."""
    if not isinstance(value, list) or not all(isinstance(group, list) and group for group in value):
        raise Unusable(f'"ranking" is {kind(value)}; it must be a list of groups of positions, such as [[0], [1, 2]].')
    named = [position for group in value for position in group]
    if not all(isinstance(position, int) and not isinstance(position, bool) for position in named):
        raise Unusable('"ranking" must name the completions by their positions: 0 for the first, 1 for the second ...')
    if sorted(named) != list(range(count)):
        raise Unusable(f'"ranking" must name each of the {count} completions once, by 0 to {count - 1}.')
    return tuple(tuple(group) for group in value)


FORMAT = Format(
    key="rankings",
    label="K-way rankings",
    example=(
        '{"prompt": [{"role": "user", "content": "A pun about tea?"}], "completions": [{"text": "Tea-rific!", "model": '
        '"a"}, {"text": "No.", "model": "b"}, {"text": "Sorry.", "model": "c"}], "ranking": [[0], [1, 2]], '
        '"strengths": ["better"], "annotator": "annotator-1", "kind": "person"}'
    ),
    gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
    recognises=recognises,
    reads=reads,
)
