"""Scores that a reward model gave before, on disk: a candidate is scored once, whichever round asks.

A folder for each model, by what decides its numbers (`key_of`); in it a file of each program that added to it, a score
a line. Nothing is ever changed or shared by two writers, so two programs at once and a kill in the middle of a line
are harmless. The score that is found counts: computed again beside other rows, it would differ by rounding.
"""

import hashlib
import json
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from sampling.checkpoints import inspect
from training.pipeline.resuming import library_versions


def key_of(model: str, computed_with: Sequence[str]) -> str:
    """What decides the numbers of the model in this directory: its weights, its config, the libraries, all else named.

    The config beside the weights, because the same weights are another model with other positions or another scale.
    How it generates is no matter here.
    """
    config = hashlib.sha256((Path(model) / "config.json").read_bytes()).hexdigest()
    content = [inspect(model).content_hash, config, sorted(library_versions().items()), *computed_with]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


class ScoreCache:
    """The scores of one reward model by the key of what was scored; read once, when it is made."""

    def __init__(self, directory: Path) -> None:
        # This program's own file, made when there is something to write.
        self._path = directory / f"{time.time_ns():020d}-{uuid.uuid4().hex}.jsonl"
        self._scores: dict[str, float] = {}
        # By the time in their names: of two scores of one key, the older one counts, and goes on counting.
        for path in sorted(directory.glob("*.jsonl")):
            for key, score in _read(path).items():
                self._scores.setdefault(key, score)

    def __len__(self) -> int:
        return len(self._scores)

    def get(self, key: str) -> float | None:
        """The score, if there is one."""
        return self._scores.get(key)

    def add(self, scores: Mapping[str, float]) -> None:
        """Keep these too; when it returns, they outlive this process."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps({"key": key, "score": score}) + "\n" for key, score in scores.items())
        with self._path.open("ab", buffering=0) as file:
            file.write(lines.encode())
        self._scores |= scores


def _read(path: Path) -> dict[str, float]:
    """What a file holds. A line that is torn or spoiled is as if it had not been written: it is scored again."""
    scores: dict[str, float] = {}
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
            key, score = row["key"], row["score"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(key, str) and isinstance(score, float) and math.isfinite(score):
            scores.setdefault(key, score)
    return scores
