"""What a look counts: different prompts and completions, as an import adds each once, and those that are there already.

Of a completion eight bytes are remembered, so that a look at its LOOK_ROWS rows stays within tens of megabytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sampling.importing import sql
from sampling.importing.completions import import_keys
from sampling.intake.records import Record
from sampling.prompt_files import content_hash_of

KNOWN_ROWS = 20_000  # of a source: of these it is told what is there already, at two statements a batch
MOST_COMPLETIONS = 5_000_000  # that are remembered; further ones count as different

Keyed = dict[tuple[str, str], None]  # (prompt's hash, completion's key), in their order


@dataclass
class Known:
    """What of the first rows is there already."""

    rows: int = 0
    prompts: int = 0
    completions: int = 0


@dataclass
class Different:
    """Counts while a look goes on. ``prompt_set_id``: where things may be already; None for a set that is not yet."""

    prompt_set_id: int | None
    prompts: int = 0
    completions: int = 0
    known: Known = field(default_factory=Known)
    _prompts: set[bytes] = field(default_factory=set)
    _completions: set[int] = field(default_factory=set)

    def add(self, records: Sequence[Record], rows: int) -> Iterator[tuple[Record, str]]:
        """Count the records of a batch of ``rows`` rows; yields those whose prompt is new, with its hash."""
        hashes: dict[str, bool] = {}  # whether it is new
        new_completions: Keyed = {}
        first = []
        for record in records:
            content_hash = content_hash_of(record.messages)
            if self._is_new_prompt(content_hash):
                hashes[content_hash] = True
                first.append((record, content_hash))
            hashes.setdefault(content_hash, False)
            for key in import_keys(record.completions):
                if self._is_new_completion(content_hash, key):
                    new_completions[content_hash, key] = None
        if self.prompt_set_id is not None and self.known.rows < KNOWN_ROWS:
            self._look_up(self.prompt_set_id, hashes, new_completions)
            self.known.rows += rows
        yield from first

    def _is_new_prompt(self, content_hash: str) -> bool:
        key = bytes.fromhex(content_hash)
        is_new = key not in self._prompts
        self._prompts.add(key)
        self.prompts += is_new
        return is_new

    def _is_new_completion(self, content_hash: str, key: str) -> bool:
        both = int(content_hash[:16], 16) ^ int(key[:16], 16)
        is_new = both not in self._completions
        if len(self._completions) < MOST_COMPLETIONS:
            self._completions.add(both)
        self.completions += is_new
        return is_new

    def _look_up(self, prompt_set_id: int, hashes: dict[str, bool], completions: Keyed) -> None:
        ids = dict(sql.fetched(sql.FIND_PROMPTS, [prompt_set_id, list(hashes)])) if hashes else {}
        self.known.prompts += sum(hashes[content_hash] for content_hash in ids)
        wanted = [(ids[content_hash], key) for content_hash, key in completions if content_hash in ids]
        if wanted:
            columns = [[prompt_id for prompt_id, _ in wanted], [key for _, key in wanted]]
            self.known.completions += len(sql.fetched(sql.FIND_COMPLETIONS, columns))

    def are_known(self, *, with_completions: bool) -> bool:
        """Whether all that was counted is there already."""
        if with_completions and self.known.completions < self.completions:
            return False
        return 0 < self.prompts == self.known.prompts
