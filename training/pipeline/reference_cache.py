"""Log-probabilities that a reference gave before, on disk: a row is computed once, whichever run asks.

A run that is resumed, or tried again with another beta or another loss, reads them. The key is content alone: the
reference's weights and config, the row's tokens, and what numbers were computed with. The length limit is not in it,
because a row that does not fit is left out and never cut; nor is the loss, because all losses begin with the same sums.

In 32 bits a row is known by itself. In bf16 its sum depends, by rounding, on the rows that it is computed with, and a
reference that is not the policy to the last bit moves the first loss away from ln 2 (by 0.003 over eight pairs, at a
beta of 0.5, for a random model of six layers). There a row is known within its micro batch only: the same rows in the
same order are found, and any other batch is computed again.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sampling.checkpoints import is_hub_id
from training.pipeline.score_cache import ScoreCache, key_of

Row = Mapping[str, Any]  # "prompt_ids", "chosen_ids", "rejected_ids"
Sums = tuple[float, float]  # log-probabilities of the chosen and of the rejected completion, summed over tokens
SIDES = ("chosen", "rejected")


class ReferenceCache:
    """The sums of one reference; without a directory it remembers nothing."""

    def __init__(self, directory: Path | None, *, by_batch: bool) -> None:
        self.by_batch = by_batch
        self.directory = directory
        self.asked = 0  # rows that a trainer wanted
        self.unknown = 0  # of these, rows that had to be computed, by whichever process
        self._cache = ScoreCache(directory) if directory else None

    @property
    def cached(self) -> bool | None:
        """Whether all was known that was asked for; None if nothing was."""
        return not self.unknown if self.asked else None

    def forget(self) -> None:
        """Throw away what is on disk, for it is not what the reference gives now; nothing counts as asked."""
        self.asked = self.unknown = 0
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
            self._cache = ScoreCache(self.directory)

    def keys(self, rows: Sequence[Row], *, batch: int) -> list[str]:
        """What each row is known by; ``batch`` rows are computed together."""
        own = [_hash([row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]]) for row in rows]
        if not self.by_batch:
            return own
        company = [_hash(own[start : start + batch]) for start in range(0, len(own), batch)]
        return [f"{company[i // batch]}-{i % batch}" for i in range(len(own))]

    def get(self, key: str) -> Sums | None:
        """The sums of the chosen and the rejected side, if both are known."""
        if self._cache is None:
            return None
        chosen, rejected = (self._cache.get(f"{key}-{side}") for side in SIDES)
        return None if chosen is None or rejected is None else (chosen, rejected)

    def add(self, sums: Mapping[str, Sums]) -> None:
        """Keep these too; when it returns, they outlive this process."""
        if self._cache is not None:
            self._cache.add({f"{key}-{side}": pair[i] for key, pair in sums.items() for i, side in enumerate(SIDES)})

    def batches_to_compute(self, keys: Sequence[str], *, batch: int) -> list[list[int]]:
        """Indices of the rows that are not known, as many together as are trained on together.

        By batch: those of which any row is unknown, whole, so that the numbers come out as in training.
        """
        if self.by_batch:
            together = [list(range(start, min(start + batch, len(keys)))) for start in range(0, len(keys), batch)]
            batches = [rows for rows in together if any(self.get(keys[i]) is None for i in rows)]
        else:
            unknown = [i for i, key in enumerate(keys) if self.get(key) is None]
            batches = [unknown[start : start + batch] for start in range(0, len(unknown), batch)]
        self.asked += len(keys)
        self.unknown += sum(map(len, batches))
        return batches


def directory_of(caches: str | None, policy: str, computed_with: Sequence[str]) -> Path | None:
    """Where a reference's sums are kept; None without a folder for caches, and for a hub id, whose weights may change.

    ``computed_with``: what changes a number beside weights, config and libraries, such as precision and device.
    """
    if not caches or is_hub_id(policy):
        return None
    return Path(caches) / "reference" / key_of(policy, computed_with)


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
