"""The files that a round's stages learn from and are measured on, written once into its run directory.

    people/ all/ ...         train.jsonl eval.jsonl: the pairs by whose judgments count, as the round's stages ask for;
                             undecided.jsonl: pairs of which no row is made (conflicts, ties, unsafe over safe,
                             what only others than people judged where people alone count)
    prompts_train.jsonl prompts_eval.jsonl
    demonstrations.jsonl     what SFT reads
    pool/                    the candidates of the schedule's earlier rounds

The pairs are those that most annotators agree on, of the round's snapshot and, where a stage asks for all of them, of
the earlier rounds'; the prompts are those of the sets that its comparisons came from. What is held out stays out: what
is, word for word, an eval prompt of any of these sets is in no file that a policy or its selector learns from, but in
one beside it whose name begins with held_out: the check of the data lists what is left out.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from django.db.models import QuerySet

from annotation.datasets import exports
from annotation.datasets.export_rows import Row, Rows, rows_of, tie_rows
from annotation.datasets.frozen import JudgedComparison
from annotation.models import DatasetSnapshot, JudgeKind
from sampling.engine.run_dir import read_json_lines
from sampling.models import Prompt, Split
from sampling.prompt_files import GoodPrompt
from training.models import DemonstrationSet, StageKind, StageState, TrainingRound
from training.running import round_plan
from training.running.places import (
    CANDIDATES,
    DEMONSTRATIONS,
    HELD_OUT_DEMONSTRATIONS,
    HELD_OUT_PAIRS,
    HELD_OUT_POOL,
    HELD_OUT_PROMPTS,
    POOL,
    UNDECIDED_PAIRS,
)
from training.running.undecided import uncounted_rows, undecided_rows

GoOn = Callable[[], object]

# Whose judgments are asked for, and the kinds of judges that this means.
KINDS = {
    "people": frozenset({JudgeKind.PERSON}),
    "people_and_imported": frozenset({JudgeKind.PERSON, JudgeKind.IMPORTED}),
    "all": frozenset(JudgeKind),
}


class Asking(Protocol):
    """What needs data: a round, or the check of one that is not launched yet."""

    snapshot: DatasetSnapshot
    demonstrations: DemonstrationSet | None
    recipe: dict[str, Any]
    claim: uuid.UUID | None

    @property
    def run_dir(self) -> Path: ...

    def earlier(self) -> list[TrainingRound]: ...


def write_data(*, round: Asking, go_on: GoOn = lambda: None) -> Path:
    """The round's data directory; made when there is none yet, all of it or nothing.

    ``go_on`` is called before each comparison; what it raises ends the writing. Raises ExportRefused where a snapshot
    is not what was frozen.
    """
    directory = round.run_dir / "data"
    if directory.is_dir():
        return directory
    round.run_dir.mkdir(parents=True, exist_ok=True)
    # A name of this claim's own: a worker that lost its claim may still be writing.
    partial = round.run_dir / f".data-{round.claim}"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        _write_all(partial, round, go_on)
        partial.rename(directory)
    except OSError:
        if not directory.is_dir():  # else another worker was first, with the same bytes
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return directory


def prompts_of(snapshot: DatasetSnapshot, *earlier: DatasetSnapshot):
    """Two querysets: the prompts to train on and the eval prompts, of the sets that the snapshot came from.

    What the sets of the ``earlier`` ones hold out is not trained on either.
    """
    prompts = _prompts_of_sets([snapshot])
    train = prompts.filter(split=Split.TRAIN).exclude(content_hash__in=_held_out_hashes([snapshot, *earlier]))
    return train.order_by("pk"), prompts.filter(split=Split.EVAL).order_by("pk")


def _held_out_prompts(snapshots: Sequence[DatasetSnapshot]) -> QuerySet[Prompt]:
    """The train prompts of the first snapshot's sets that are eval prompts of any."""
    train = _prompts_of_sets(snapshots[:1]).filter(split=Split.TRAIN)
    return train.filter(content_hash__in=_held_out_hashes(snapshots)).order_by("pk")


def _write_all(folder: Path, round: Asking, go_on: GoOn) -> None:
    earlier = round.earlier()
    snapshots = [round.snapshot, *(each.snapshot for each in reversed(earlier))]  # the newest first
    held_out = _HeldOut.of(snapshots)
    for judges in round_plan.judges_in(round.recipe):
        (folder / judges).mkdir()
        _write_pairs(folder / judges, _Wanted.of(round.recipe, judges), snapshots, held_out, go_on)
    train, eval_prompts = prompts_of(*snapshots)
    _write_prompts(folder / "prompts_train.jsonl", train)
    _write_prompts(folder / "prompts_eval.jsonl", eval_prompts)
    _write_prompts(folder / HELD_OUT_PROMPTS, _held_out_prompts(snapshots))
    if round.demonstrations and StageKind.DEMONSTRATIONS in round.recipe:
        _write_demonstrations(folder, Path(round.demonstrations.location), held_out)
    if round.recipe.get(StageKind.REJECTION_SAMPLING, {}).get("pool") == "all_rounds":
        _write_pool(folder, earlier, held_out)


@dataclass(frozen=True)
class _Wanted:
    """Which pairs the stages of a round ask for that count the same judgments."""

    kinds: frozenset[str]
    all_snapshots: bool
    ties: bool

    @classmethod
    def of(cls, recipe: dict[str, Any], judges: str) -> "_Wanted":
        sections = [each for each in recipe.values() if isinstance(each, dict) and each.get("judges") == judges]
        return cls(
            kinds=KINDS[judges],
            all_snapshots=any(section.get("snapshots") == "all" for section in sections),
            ties=any(section.get("ties") is True for section in sections),
        )


@dataclass(frozen=True)
class _HeldOut:
    """What must not be learned from: the content of the eval prompts, and every prompt that has it."""

    hashes: frozenset[str]
    prompt_ids: frozenset[str]

    @classmethod
    def of(cls, snapshots: Sequence[DatasetSnapshot]) -> "_HeldOut":
        hashes = _held_out_hashes(snapshots)
        ids = Prompt.objects.filter(content_hash__in=hashes).values_list("pk", flat=True)
        return cls(frozenset(hashes), frozenset(map(str, ids)))

    def has(self, prompt: list[dict[str, str]]) -> bool:
        return GoodPrompt(0, prompt).content_hash in self.hashes

    def has_turn_of(self, messages: list[dict[str, str]]) -> bool:
        """Whether the assistant answers an eval prompt anywhere in a conversation."""
        starts = (n for n, turn in enumerate(messages) if turn["role"] == "assistant")
        return any(self.has(messages[:n]) for n in starts)


def _write_pairs(
    folder: Path, wanted: _Wanted, snapshots: Sequence[DatasetSnapshot], held_out: _HeldOut, go_on: GoOn
) -> None:
    """Write the four files; one that is empty too, for a stage that lacks pairs says so itself."""
    names = ["train.jsonl", "eval.jsonl", HELD_OUT_PAIRS, UNDECIDED_PAIRS]
    with ExitStack() as stack:
        files = {name: stack.enter_context(_writing(folder / name)) for name in names}
        for row in _rows(wanted, snapshots if wanted.all_snapshots else snapshots[:1], go_on):
            _write_row(files[_file_of(row, held_out)], row)


def _file_of(row: Row, held_out: _HeldOut) -> str:
    if "reason" in row:
        return UNDECIDED_PAIRS
    if row["split"] == Split.TRAIN and row["prompt_id"] in held_out.prompt_ids:
        return HELD_OUT_PAIRS
    return f"{row['split']}.jsonl"


def _rows(wanted: _Wanted, snapshots: Sequence[DatasetSnapshot], go_on: GoOn) -> Iterator[Row]:
    """The pairs of the snapshots, newest first; of a comparison that is in several, as the newest has it."""
    seen: set[int] = set()
    for number, snapshot in enumerate(snapshots):
        more = {"snapshot": snapshot.name, "latest": number == 0}
        ids = set()
        for judged in exports.verified_comparisons(snapshot):
            go_on()
            ids.add(judged.comparison_id)
            if judged.comparison_id not in seen:
                counted = judged.judged_by(wanted.kinds)
                rows = _rows_of(counted, wanted) if counted else uncounted_rows(judged)
                yield from (row | more for row in rows)
        seen |= ids


def _rows_of(judged: JudgedComparison, wanted: _Wanted) -> Iterator[Row]:
    """Those to learn from or to measure on, and those with a "reason", which are neither."""
    ties = wanted.ties and judged.prompt.split == Split.TRAIN  # which is better of a tie cannot be measured
    yield from rows_of(judged, Rows.MAJORITY, {})
    if ties:
        yield from tie_rows(judged)
    yield from undecided_rows(judged, ties_are_learned=ties)


def _write_prompts(path: Path, prompts: QuerySet[Prompt]) -> None:
    with _writing(path) as file:
        for prompt in prompts.iterator():
            _write_row(file, {"id": str(prompt.pk), "messages": prompt.messages})


def _write_demonstrations(folder: Path, source: Path, held_out: _HeldOut) -> None:
    """Each with the line of the set's file that it stands in, as lists of dropped rows name it."""
    with _writing(folder / DEMONSTRATIONS) as kept, _writing(folder / HELD_OUT_DEMONSTRATIONS) as left_out:
        for line, row in enumerate(_existing_lines(source), start=1):
            file = left_out if held_out.has_turn_of(row["messages"]) else kept
            _write_row(file, {"line": line, "messages": row["messages"]})


def _write_pool(folder: Path, earlier: Sequence[TrainingRound], held_out: _HeldOut) -> None:
    """One file for each earlier round that sampled candidates, numbered so that the oldest comes first."""
    (folder / POOL).mkdir()
    with _writing(folder / HELD_OUT_POOL) as left_out:
        for round in earlier:
            sampled = round.stages.filter(kind=StageKind.REJECTION_SAMPLING, state=StageState.FINISHED).first()
            if sampled is None:
                continue
            with _writing(folder / POOL / f"{round.number:04}.jsonl") as kept:
                for row in _existing_lines(sampled.run_dir / CANDIDATES):
                    is_held_out = str(row["prompt_id"]) in held_out.prompt_ids or held_out.has(row["messages"])
                    _write_row(left_out if is_held_out else kept, row)


def _existing_lines(path: Path) -> Iterable[dict[str, Any]]:
    if not path.is_file():
        raise exports.ExportRefused(f"{path} is gone, and this round reads it. Restore it from a backup.")
    return read_json_lines(path)


def _prompts_of_sets(snapshots: Sequence[DatasetSnapshot]) -> QuerySet[Prompt]:
    sets = Prompt.objects.filter(comparisons__judgments__snapshots__in=snapshots).values("prompt_set")
    return Prompt.objects.filter(prompt_set__in=sets)


def _held_out_hashes(snapshots: Sequence[DatasetSnapshot]) -> QuerySet[Prompt, str]:
    return _prompts_of_sets(snapshots).filter(split=Split.EVAL).values_list("content_hash", flat=True)


@contextmanager
def _writing(path: Path) -> Iterator[IO[str]]:
    """A file that is on the disk before the directory gets its name: after a crash a round reads all of it."""
    with path.open("w", encoding="utf-8") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _write_row(file: IO[str], row: dict[str, Any]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
