"""Judgments that a program sends in one request: an import like any other, carried out while the program waits.

So they are marked as imported, listed among the imports with what was left out of them, and undone as a whole.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation.models import Project
from sampling.curation.steps import pipeline
from sampling.importing import actions, reading
from sampling.importing.bringing_in import keep_left_out, store_all
from sampling.importing.options import Options
from sampling.importing.stores import store_class
from sampling.intake import formats
from sampling.intake.sources import SourceRow
from sampling.json_lines import Unusable
from sampling.long_tasks import TaskState
from sampling.models import DataImport, Doing

WHAT = "judgments"
NAME = "sent to the API"


@dataclass
class Outcome:
    """By row, from 0: why it was left out; and those that brought something new."""

    data_import: DataImport
    rejected: dict[int, str] = field(default_factory=dict)
    new: set[int] = field(default_factory=set)


@transaction.atomic
def judge_elsewhere(
    *,
    project: Project,
    prompt_set_name: str,
    rows: Sequence[dict[str, Any]],
    source_format: str = "",
    created_by: AbstractBaseUser | None = None,
) -> Outcome:
    """Keep what these rows say. A bad one stops no other. Raises Unusable where nobody knows their format."""
    # Only what holds judgments: where one row is bad, a plainer format may be the one that fits them all best.
    judged = (key for key in formats.fitting(rows) if "judgments" in formats.FORMATS[key].gives)
    key = source_format or next(judged, None)
    if not key:
        raise Unusable("No format is known for these rows. Name one; the page of imports shows an example of each.")
    lines = [json.dumps(row) for row in rows]
    data_import = actions.create_import(
        what=WHAT, prompt_set_name=prompt_set_name, upload=io.BytesIO("\n".join(lines).encode()), name=NAME,
        options=Options(format=key, store={"project": project.slug}), created_by=created_by, doing=Doing.IMPORT,
        enqueue=False,
    )  # fmt: skip
    data_import.take()
    store = store_class(WHAT)(data_import)
    read = [
        reading.read(SourceRow(line, row, "", text), key, {})
        for line, (row, text) in enumerate(zip(rows, lines, strict=True), start=1)
    ]
    sifted = reading.sift(read, pipeline([]), store)
    stored = store_all(store, sifted.kept)
    left_out = [*sifted.left_out, *(sifted.refused(line, reason) for line, reason in stored.rejected.items())]
    keep_left_out(data_import, store, left_out)
    data_import.end(
        TaskState.FINISHED, next_row=len(rows), done=len(rows), total=len(rows), prompts_added=stored.prompts,
        completions_added=stored.completions, comparisons_added=stored.comparisons, judgments_added=stored.judgments,
        known_count=stored.known, rejected_count=len(left_out),
    )  # fmt: skip
    return Outcome(data_import, {row.line - 1: row.reason for row in left_out}, {line - 1 for line in stored.new_lines})
