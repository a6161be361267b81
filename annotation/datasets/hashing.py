"""The hash that proves that a snapshot is what was frozen.

*Scheme 2.* Its comparisons, in their order, are cut into blocks. Each block has the SHA-256 of one line a comparison,
and the content hash is over the settings: what was chosen, the guidelines by their hashes, the models' names, which
prompts are held out, how far annotators are trusted, and the blocks' hashes. So parts of a snapshot can be read and
proved by several processes at once. Everything that an export may show is in there; the snapshot's name is not, nor
where its rows lie in the database, so that the same choice of the same judgments has the same hash.

*Scheme 1*, of snapshots of earlier days: one hash over all lines.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from annotation.datasets.frozen import FrozenJudgment, JudgedComparison
from annotation.datasets.reading import Known, comparisons_between, sorted_comparisons
from annotation.models import DatasetSnapshot
from sampling.models import Origin

SCHEME = 2
COMPARISONS_PER_BLOCK = 5000


class SnapshotChanged(Exception):
    """What is in the tables is not what was frozen."""


class Block(NamedTuple):
    """A part of a snapshot: its rows of the table of memberships from ``first`` to ``last``, by their ids."""

    first: int
    last: int
    comparisons: int
    digest: str


def blocks_of(snapshot: DatasetSnapshot) -> list[Block]:
    """In their order. What was frozen by scheme 1 is one block, which no process can share with another."""
    if snapshot.hash_scheme == 1:
        return [Block(0, 0, snapshot.counts.get("comparisons", 0), snapshot.content_hash)]
    return [Block(*stored) for stored in snapshot.settings["blocks"]]


def judged_comparisons(snapshot: DatasetSnapshot, blocks: Iterable[Block] | None = None) -> Iterator[JudgedComparison]:
    """The comparisons of these blocks, or all, without a look at the hash. Raises CompletionLost."""
    if snapshot.hash_scheme == 1:
        yield from sorted_comparisons(snapshot)
        return
    known = Known.of(snapshot)
    for block in blocks_of(snapshot) if blocks is None else blocks:
        yield from comparisons_between(snapshot, known, block.first, block.last)


def verified_comparisons(
    snapshot: DatasetSnapshot, blocks: Iterable[Block] | None = None
) -> Iterator[JudgedComparison]:
    """The same, and after each block its hash tells whether they are what was frozen.

    Raises SnapshotChanged: whatever was made of them until then must be thrown away.
    """
    check_settings(snapshot)
    line_of = line_1 if snapshot.hash_scheme == 1 else line_2
    for block in blocks_of(snapshot) if blocks is None else blocks:
        digest = hashlib.sha256()
        for judged in judged_comparisons(snapshot, [block]):
            digest.update(line_of(judged))
            yield judged
        if digest.hexdigest() != block.digest:
            raise SnapshotChanged(_changed(snapshot, block.digest, digest.hexdigest()))


def check_settings(snapshot: DatasetSnapshot) -> None:
    """Raise SnapshotChanged unless the settings are those that were frozen."""
    if snapshot.hash_scheme == 1:
        return
    found = settings_hash(snapshot.settings)
    if found != snapshot.content_hash:
        raise SnapshotChanged(_changed(snapshot, snapshot.content_hash, found))


def settings_hash(settings: Mapping[str, Any]) -> str:
    """The content hash of scheme 2."""
    proved = settings | {
        "scheme": SCHEME,
        "choice": {name: value for name, value in settings["choice"].items() if name != "name"},
        "blocks": [[comparisons, digest] for _, _, comparisons, digest in settings["blocks"]],
    }
    return hashlib.sha256(orjson.dumps(proved, option=orjson.OPT_SORT_KEYS)).hexdigest()


class Blocks:
    """Cuts the comparisons that stream past into blocks, and hashes them."""

    def __init__(self) -> None:
        self.found: list[tuple[int, int, str]] = []  # the last judgment's id, comparisons, hash
        self._last, self._comparisons, self._digest = 0, 0, hashlib.sha256()

    def add(self, judged: JudgedComparison) -> None:
        self._digest.update(line_2(judged))
        self._last, self._comparisons = judged.judgments[-1].pk, self._comparisons + 1
        if self._comparisons == COMPARISONS_PER_BLOCK:
            self.end()

    def end(self) -> None:
        if self._comparisons:
            self.found.append((self._last, self._comparisons, self._digest.hexdigest()))
        self._comparisons, self._digest = 0, hashlib.sha256()


def line_2(judged: JudgedComparison) -> bytes:
    """All of this comparison that an export may show, as one line: the tuples of frozen.py are JSON as they are."""
    prompt = judged.prompt
    content = [
        judged.comparison_id,
        [prompt.pk, prompt.split, prompt.messages, prompt.metadata],
        [tuple(judged.completions[pk]) for pk in sorted(judged.completions)],
        list(map(tuple, judged.judgments)),
    ]
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def line_1(judged: JudgedComparison) -> bytes:
    """As it was in earlier days. What came later is in the line only where there is some."""
    completions = sorted(judged.completions.items())
    content: dict[str, Any] = {
        "comparison": judged.comparison_id,
        "prompt": judged.prompt.pk,
        "split": judged.prompt.split,
        "messages": judged.prompt.messages,
        "texts": [(pk, completion.text) for pk, completion in completions],
        "finish_reasons": [(pk, completion.finish_reason) for pk, completion in completions],
        "judgments": [
            [judgment.pk, judgment.annotator_id, judgment.kind, judgment.ranking, judgment.strengths, *_more(judgment)]
            for judgment in judged.judgments
        ],
    }
    if edits := [(pk, completion.edit_of_id) for pk, completion in completions if completion.origin == Origin.PERSON]:
        content["edits"] = edits
    line = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return line.encode() + b"\n"


def _more(judgment: FrozenJudgment) -> list[dict[str, Any]]:
    more = {"is_decision": judgment.is_decision, "marks": judgment.marks, "all_bad": judgment.all_bad}
    filled = {name: value for name, value in more.items() if value}
    return [filled] if filled else []


def _changed(snapshot: DatasetSnapshot, frozen: str, found: str) -> str:
    return (
        f'Snapshot "{snapshot}" was frozen with hash {frozen[:12]}… but its rows now have {found[:12]}…: a prompt, '
        "completion or judgment was changed in the database by hand. Restore it from a backup, or freeze a new "
        "snapshot."
    )
