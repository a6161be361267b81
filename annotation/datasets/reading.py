"""Read a snapshot from the tables: fast, in a fixed order, and never much of it at once.

Plain SQL and tuples, because a million comparisons pass here. A snapshot's rows of the table of memberships were
written in the order in which they are read, by comparison and judgment, so that a part of it is a range of their ids
and nothing is sorted; snapshots from before that (hash scheme 1) are sorted by the database.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

import orjson
from django.db import connection

from annotation.datasets.choice import rule_in
from annotation.datasets.frozen import FrozenCompletion, FrozenJudgment, FrozenPrompt, JudgedComparison
from annotation.models import DatasetSnapshot
from annotation.rules.aggregation import PairRule
from sampling.models import ModelVersion, Split

JUDGMENTS_AT_ONCE = 1000
COMPARISONS_AT_ONCE = 500  # with all their texts: a few kilobytes each

_JUDGMENT = """
    judgment.id, judgment.comparison_id, judgment.annotator_id, judgment.kind, judgment.is_decision, judgment.ranking,
    judgment.strengths, judgment.marks, judgment.all_bad, judgment.rationale, judgment.source,
    judgment.guidelines_version_id, (extract(epoch FROM judgment.created_at) * 1000000)::bigint
    FROM annotation_datasetsnapshot_judgments AS member
    JOIN annotation_judgment AS judgment ON judgment.id = member.judgment_id
"""
# "+ 0", so that the window of ids alone is searched by an index: that of the snapshot's own rows names all of them, for
# each window again.
_IN_RANGE = f"""
    SELECT {_JUDGMENT} WHERE member.datasetsnapshot_id + 0 = %s AND member.id > %s AND member.id <= %s
    ORDER BY member.id
"""
_SORTED = f"SELECT {_JUDGMENT} WHERE member.datasetsnapshot_id = %s ORDER BY judgment.comparison_id, judgment.id"
_PROMPTS = """
    SELECT comparison.id, prompt.id, prompt.split, prompt.messages, prompt.metadata
    FROM annotation_comparison AS comparison JOIN sampling_prompt AS prompt ON prompt.id = comparison.prompt_id
    WHERE comparison.id = ANY(%s::bigint[])
"""
_COMPLETIONS = """
    SELECT id, text, finish_reason, origin, edit_of_id, model_version_id, written_by_model
    FROM sampling_completion WHERE id = ANY(%s::bigint[])
"""


class CompletionLost(Exception):
    """A completion that a frozen judgment ranks is not there any more."""


@dataclass(frozen=True)
class Known:
    """What is known of a snapshot as a whole, and decides how its rows are read."""

    name: str
    models: Mapping[str, str]  # version's id -> its name when this was frozen
    held_out: frozenset[int]  # prompts that are train ones by their set, and eval ones by their words
    rule: PairRule

    @classmethod
    def of(cls, snapshot: DatasetSnapshot) -> "Known":
        models = snapshot.settings.get("models")
        if models is None:  # from before it was kept
            models = {str(pk): name for pk, name in ModelVersion.objects.values_list("pk", "name")}
        held_out = frozenset(snapshot.settings.get("held_out", ()))
        return cls(snapshot.name, models, held_out, rule_in(snapshot.settings))


def comparisons_between(snapshot: DatasetSnapshot, known: Known, first: int, last: int) -> Iterator[JudgedComparison]:
    """Those whose rows of the table of memberships have these ids: a block's, so that no comparison is cut."""
    return _comparisons(_judgments_between(snapshot.pk, first, last), known)


def sorted_comparisons(snapshot: DatasetSnapshot) -> Iterator[JudgedComparison]:
    """All of it, by comparison and judgment: for what was frozen without blocks."""
    return _comparisons(_sorted_judgments(snapshot.pk), Known.of(snapshot))


def _judgments_between(snapshot_id: int, first: int, last: int) -> Iterator[FrozenJudgment]:
    # By windows of ids, not by LIMIT: while a snapshot is being frozen its rows are not in the planner's figures yet,
    # and it would sort all that is left for each page. The ids of one snapshot have hardly a gap.
    for seen in range(first - 1, last, JUDGMENTS_AT_ONCE):
        with connection.cursor() as cursor:
            cursor.execute(_IN_RANGE, [snapshot_id, seen, min(last, seen + JUDGMENTS_AT_ONCE)])
            page = cursor.fetchall()
        yield from map(_judgment, page)


def _sorted_judgments(snapshot_id: int) -> Iterator[FrozenJudgment]:
    with closing(connection.chunked_cursor()) as cursor:
        cursor.execute(_SORTED, [snapshot_id])
        while page := cursor.fetchmany(JUDGMENTS_AT_ONCE):
            yield from map(_judgment, page)


def _comparisons(judgments: Iterable[FrozenJudgment], known: Known) -> Iterator[JudgedComparison]:
    groups = (list(group) for _, group in groupby(judgments, key=lambda judgment: judgment.comparison_id))
    while batch := list(islice(groups, COMPARISONS_AT_ONCE)):
        prompts = _prompts([group[0].comparison_id for group in batch], known)
        ranked = [_ranked(group) for group in batch]
        completions = _completions(list({pk for ids in ranked for pk in ids}), known)
        for group, ids in zip(batch, ranked, strict=True):
            comparison_id = group[0].comparison_id
            found = {pk: completions[pk] for pk in ids}
            yield JudgedComparison(comparison_id, prompts[comparison_id], found, group, known.rule)


def _ranked(judgments: Sequence[FrozenJudgment]) -> dict[int, None]:
    """Each completion once, in the order in which they are named first."""
    return {pk: None for judgment in judgments for group in judgment.ranking for pk in group}


def _judgment(row: Sequence[Any]) -> FrozenJudgment:
    pk, comparison, annotator, kind, is_decision, ranking, strengths, marks, all_bad, rationale, source, *more = row
    return FrozenJudgment(
        pk,
        comparison,
        annotator,
        kind,
        is_decision,
        orjson.loads(ranking),
        orjson.loads(strengths),
        {} if marks == "{}" else orjson.loads(marks),
        all_bad,
        rationale,
        {} if source == "{}" else orjson.loads(source),
        *more,
    )


def _prompts(comparison_ids: list[int], known: Known) -> dict[int, FrozenPrompt]:
    with connection.cursor() as cursor:
        cursor.execute(_PROMPTS, [_array(comparison_ids)])
        return {
            comparison: FrozenPrompt(
                pk,
                Split.EVAL.value if pk in known.held_out else split,
                orjson.loads(messages),
                {} if metadata == "{}" else orjson.loads(metadata),
            )
            for comparison, pk, split, messages, metadata in cursor.fetchall()
        }


def _completions(ids: list[int], known: Known) -> dict[int, FrozenCompletion]:
    models = known.models
    with connection.cursor() as cursor:
        cursor.execute(_COMPLETIONS, [_array(ids)])
        found = {
            row[0]: FrozenCompletion(*row[:-1], models.get(str(row[-2]), "") if row[-2] else row[-1])
            for row in cursor.fetchall()
        }
    if len(found) < len(ids):
        raise CompletionLost(
            f'Completion {min(set(ids) - found.keys())}, which a judgment in snapshot "{known.name}" ranks, was '
            "deleted from the database by hand. Restore it from a backup."
        )
    return found


def _array(ids: Iterable[int]) -> str:
    """As PostgreSQL reads it: the driver would look at the type of each id first."""
    return f"{{{','.join(map(str, ids))}}}"
