"""What was measured of a policy once and need not be measured again: one JSON file a figure, named by its content.

The key holds all that a figure depends on: weights, tokenizer, what was asked, and the libraries that computed it.
"""

import hashlib
import json
import os
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sampling.checkpoints import inspect

LIBRARIES = ("lm_eval", "transformers", "torch")
# Beside the weights: what turns text into their tokens, and a config that changes how they compute.
READ_WITH_WEIGHTS = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def policy_hash(location: str) -> str:
    """SHA-256 of a policy's weights, config and tokenizer; empty for a hub id, whose content is not known."""
    weights = inspect(location).content_hash
    if not weights:
        return ""
    files = [Path(location) / name for name in READ_WITH_WEIGHTS]
    parts = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files if path.is_file()]
    return sha256("\n".join([weights, *parts]))


class Measurements:
    """Figures of one policy, asked in one way, in a folder that all rounds share; None keeps nothing."""

    def __init__(self, folder: Path | None, asked_how: dict[str, Any]) -> None:
        self.folder = folder if asked_how.get("policy") else None
        self.asked_how = asked_how | {"libraries": {name: version(name) for name in LIBRARIES}}

    def get(self, about: dict[str, Any]) -> dict[str, Any] | None:
        """None for what was not measured yet; a torn or foreign file is not measured either."""
        if self.folder is None:
            return None
        try:
            row = json.loads(self._path(about).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return row.get("found") if isinstance(row, dict) else None

    def put(self, about: dict[str, Any], found: Any) -> None:
        """In place by one rename, so that a reader sees all of it or nothing."""
        if self.folder is None:
            return
        path = self._path(about)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        row = {**self._key(about), "found": asdict(found) if is_dataclass(found) else found}
        temporary.write_text(json.dumps(row), encoding="utf-8")
        temporary.replace(path)

    def _key(self, about: dict[str, Any]) -> dict[str, Any]:
        return {"how": self.asked_how, "about": about}

    def _path(self, about: dict[str, Any]) -> Path:
        assert self.folder is not None  # noqa: S101 - asked by those who looked
        return self.folder / f"{sha256(json.dumps(self._key(about), sort_keys=True))}.json"
