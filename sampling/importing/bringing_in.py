"""Brings an import's rows in, batch by batch, from the row where it stands to the end of its source.

Each batch is one transaction: what is kept, what is left out and why, the counts, and the row to go on from; it names
the claim of this worker, so what a worker does that was given up on is rolled back. Killed at any point, an import goes
on at ``next_row``: nothing comes twice, and nothing is lost.
"""

import logging
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from django.db import DataError, IntegrityError, OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Now

from sampling.importing import reading
from sampling.importing.hiding import columns_of_names, without_names
from sampling.importing.preparing import Opened, check_unchanged, opened
from sampling.importing.reading import OneLeftOut, ReadRow, Sifted
from sampling.importing.stores import Numbered, Store, Stored
from sampling.importing.watching import Stop, Watch
from sampling.json_lines import shorten
from sampling.long_tasks import TaskState
from sampling.models import DataImport, LeftOut, LeftOutRow
from sampling.program_runs import ClaimLost

PHASE = "bringing it in"
TRIES = 5  # of a batch that met a deadlock
TAKE_TURNS = ("40001", "40P01")  # PostgreSQL's codes: could not serialize, deadlock
UNSTORABLE = (DataError, IntegrityError, UnicodeEncodeError)

log = logging.getLogger(__name__)


def bring_in(data_import: DataImport, watch: Watch) -> None:
    """Bring in what is missing. Raises `Stop`, and what reading raises; what was stored before stays."""
    source_hash = check_unchanged(data_import, watch)
    reader = opened(data_import)
    _begin(data_import, reader, source_hash)
    for batch in _batches(data_import, reader, watch):
        sifted = reading.sift(batch, reader.pipeline, reader.store)
        _store(data_import, reader, sifted, watch)


def _begin(data_import: DataImport, reader: Opened, source_hash: str) -> None:
    """What must never change midway is written down before the first row."""
    if data_import.next_row == 0:
        data_import.left_out.all().delete()  # of an earlier time, which was undone
    data_import.options = reader.options.as_json()
    _update(data_import, options=data_import.options, source_hash=source_hash)


def _batches(data_import: DataImport, reader: Opened, watch: Watch) -> Iterator[list[ReadRow]]:
    """Those that are still to be stored. Filters that remember rows, or look at all, are shown the earlier ones."""
    pipeline, known = reader.pipeline, data_import.seen.get("rows", 0)
    tell = partial(_tell, reader, known, watch)
    for _ in range(pipeline.plan_passes):
        tell_of_planning = partial(tell, "filters read all rows first")
        for batch in _counted(reading.in_batches(reader.rows()), tell_of_planning):
            pipeline.plan(reading.numbered(batch))
        pipeline.end_pass()
    start = data_import.next_row
    if not (pipeline.remembers or pipeline.plan_passes):
        yield from reading.in_batches(reader.rows(start))
        return
    rows = reader.rows()
    if start:
        earlier = reading.in_batches(islice(rows, start))
        for batch in _counted(earlier, partial(tell, "filters read the earlier rows again")):
            pipeline.feed(reading.numbered(batch))
    yield from reading.in_batches(rows)


def _counted(batches: Iterator[list[ReadRow]], tell: Any) -> Iterator[list[ReadRow]]:
    rows = 0
    for batch in batches:
        yield batch
        rows += len(batch)
        tell(rows)


def _tell(reader: Opened, known: int, watch: Watch, phase: str, rows: int) -> None:
    reading.position(reader.source, rows, known, watch, phase)


def _store(data_import: DataImport, reader: Opened, sifted: Sifted, watch: Watch) -> None:
    _tell(reader, data_import.seen.get("rows", 0), watch, PHASE, data_import.next_row + sifted.rows)
    for tried in range(1, TRIES + 1):
        try:
            _store_once(data_import, reader.store, sifted, watch)
        except OperationalError as error:  # its transaction is undone
            if getattr(error.__cause__, "sqlstate", None) not in TAKE_TURNS or tried == TRIES:
                raise
            log.info("Import %s met another writer; the batch is tried again.", data_import.pk)
        else:
            data_import.next_row += sifted.rows
            return


@transaction.atomic
def _store_once(data_import: DataImport, store: Store, sifted: Sifted, watch: Watch) -> None:
    tally = store_all(store, sifted.kept)
    refused = [sifted.refused(line, reason) for line, reason in tally.rejected.items()]
    left_out = {row.line: row for row in [*sifted.left_out, *refused]}  # one reason a row
    keep_left_out(data_import, store, left_out.values())
    filtered = sum(row.why == LeftOut.FILTERED for row in left_out.values())
    _update(
        data_import,
        next_row=data_import.next_row + sifted.rows,
        prompts_added=F("prompts_added") + tally.prompts,
        completions_added=F("completions_added") + tally.completions,
        comparisons_added=F("comparisons_added") + tally.comparisons,
        judgments_added=F("judgments_added") + tally.judgments,
        known_count=F("known_count") + tally.known,
        filtered_count=F("filtered_count") + filtered,
        rejected_count=F("rejected_count") + len(left_out) - filtered,
        **watch.as_fields(),
    )


def keep_left_out(data_import: DataImport, store: Store, rows: Iterable[OneLeftOut]) -> None:
    """Under pseudonyms, where the store has them: then the rows, mended, can be imported as the same people's."""
    columns = columns_of_names(data_import.options)
    as_whom = getattr(store, "stand_in", _nobody)
    LeftOutRow.objects.bulk_create(
        LeftOutRow(
            data_import=data_import, line=row.line, why=row.why, reason=row.reason,
            content=without_names(row.content, columns, as_whom),
        )
        for row in rows
    )  # fmt: skip


def _nobody(name: str) -> str:
    return ""


def _update(data_import: DataImport, **changes: Any) -> None:
    """Write to the row as the worker that holds it; raises `Stop` where another does, which undoes the transaction."""
    mine = DataImport.objects.filter(
        pk=data_import.pk, claim=data_import.claim, state=TaskState.RUNNING, next_row=data_import.next_row
    )
    if not mine.update(heartbeat_at=Now(), **changes):
        raise Stop(ClaimLost())


def store_all(store: Store, batch: list[Numbered]) -> Stored:
    """Keep a batch; where the database refuses it, find the row that it cannot hold, and reject that one alone."""
    if not batch:
        return Stored()
    try:
        return _kept_or_undone(store, batch)
    except UNSTORABLE as error:
        if batch[0].line == batch[-1].line:
            return Stored(rejected={batch[0].line: f"The database cannot hold it: {shorten(_first_line(error), 300)}"})
    first, second = _halves(batch)
    return _together(store_all(store, first), store_all(store, second))


def _kept_or_undone(store: Store, batch: list[Numbered]) -> Stored:
    """With what a store remembers in the import's options: that goes back too, if its rows do."""
    options = store.data_import.options
    try:
        with transaction.atomic():
            return store.store(batch)
    except Exception:
        store.data_import.options = options
        raise


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _halves(batch: list[Numbered]) -> tuple[list[Numbered], list[Numbered]]:
    """In the middle, or near it: the records of one row stay together."""
    lines = list(dict.fromkeys(numbered.line for numbered in batch))
    middle = lines[len(lines) // 2]
    at = next(place for place, numbered in enumerate(batch) if numbered.line == middle)
    return batch[:at], batch[at:]


def _together(one: Stored, two: Stored) -> Stored:
    return Stored(
        prompts=one.prompts + two.prompts,
        completions=one.completions + two.completions,
        comparisons=one.comparisons + two.comparisons,
        judgments=one.judgments + two.judgments,
        known=one.known + two.known,
        new_lines=one.new_lines | two.new_lines,
        rejected=one.rejected | two.rejected,
    )
