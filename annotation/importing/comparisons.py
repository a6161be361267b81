"""The comparisons of imported judgments, many at a time: new ones, and those that are there already, whosever they are.

A new one wants no judgment of ours and has no slot. Completions that are open here for our own annotators keep their
comparison and its slots: imported judgments join it, and are counted beside those that it waits for.
"""

from collections.abc import Mapping, Sequence

from django.db import connection

from annotation.models import Comparison, Project
from annotation.queue.opening import content_key_of
from sampling.models import DataImport

SHOW = """
    INSERT INTO annotation_comparison_completions (comparison_id, completion_id)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[])
"""


def comparisons_of(
    project: Project, data_import: DataImport, wanted: Mapping[tuple[int, ...], int]
) -> tuple[dict[tuple[int, ...], int], set[int]]:
    """``wanted``: the prompt of each set of completions. Ids by these completions, and which of them are new.

    Three statements at most. The project's row must be locked: whoever opens comparisons takes turns by it.
    """
    keys = {completion_ids: content_key_of(completion_ids) for completion_ids in wanted}
    known = dict(project.comparisons.filter(content_key__in=set(keys.values())).values_list("content_key", "pk"))
    missing = {key: completion_ids for completion_ids, key in keys.items() if key not in known}
    made = Comparison.objects.bulk_create(
        Comparison(
            project=project, prompt_id=wanted[completion_ids], content_key=key, wanted=0, data_import=data_import
        )
        for key, completion_ids in missing.items()
    )
    _show([(comparison.pk, missing[comparison.content_key]) for comparison in made])
    new = {comparison.content_key: comparison.pk for comparison in made}
    ids = known | new
    return {completion_ids: ids[key] for completion_ids, key in keys.items()}, set(new.values())


def _show(compared: Sequence[tuple[int, Sequence[int]]]) -> None:
    """The completions of comparisons, in one statement and without an object for each."""
    rows = [(comparison_id, completion_id) for comparison_id, ids in compared for completion_id in ids]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(SHOW, [list(column) for column in zip(*rows, strict=True)])
