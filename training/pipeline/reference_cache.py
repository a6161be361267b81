"""Log-probabilities that a reference gave before, on disk: a completion is computed once, whichever run asks.

A run that is resumed, or tried again with another beta or another loss, reads them. The key is content alone: the
reference's weights and config, prompt and completion as tokens, and what numbers were computed with. The length limit
is not in it, because what does not fit is left out and never cut; nor is the loss, because all losses begin with the
same sums.

In 32 bits a completion is known by itself. In bf16 its sum depends, by rounding, on what it is computed with, and a
reference that is not the policy to the last bit moves the first loss away from ln 2 (by 0.003 over eight pairs, at a
beta of 0.5, for a random model of six layers). There it is known within its part of a step only: the same rankings in
the same order are found, and any others are computed again.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sampling.checkpoints import is_hub_id
from training.pipeline.grouped.plan import Part
from training.pipeline.score_cache import ScoreCache, key_of


class ReferenceCache:
    """The sums of one reference; without a directory it remembers nothing."""

    def __init__(self, directory: Path | None, *, by_part: bool) -> None:
        self.by_part = by_part
        self.computed_as = ""  # how a part is laid out and attended to, which rounds otherwise as well
        self.directory = directory
        self.asked = 0  # completions that a trainer wanted
        self.unknown = 0  # of these, those that had to be computed
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

    def keys(self, part: Part) -> list[str]:
        """What each completion of a part is known by, in its order."""
        own = [_hash([ranking.prompt, completion]) for ranking in part.rankings for completion in ranking.completions]
        if not self.by_part:
            return own
        company = _hash([self.computed_as, *own])
        return [f"{company}-{i}" for i in range(len(own))]

    def get(self, part: Part) -> list[float] | None:
        """The sums of a part's completions, if all are known; what is not is to be computed, and counts as asked."""
        keys = self.keys(part)
        self.asked += len(keys)
        found = [self._cache.get(key) for key in keys] if self._cache else []
        if found and None not in found:
            return found
        self.unknown += len(keys)
        return None

    def add(self, part: Part, sums: Sequence[float]) -> None:
        """Keep these too; when it returns, they outlive this process."""
        if self._cache is not None:
            self._cache.add(dict(zip(self.keys(part), sums, strict=True)))


def directory_of(caches: str | None, policy: str, computed_with: Sequence[str]) -> Path | None:
    """Where a reference's sums are kept; None without a folder for caches, and for a hub id, whose weights may change.

    ``computed_with``: what changes a number beside weights, config and libraries, such as precision and device.
    """
    if not caches or is_hub_id(policy):
        return None
    return Path(caches) / "reference" / key_of(policy, computed_with)


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
