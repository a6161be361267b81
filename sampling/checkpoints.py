"""Where a model is: a directory that `from_pretrained` reads, or a hub id; and what its weights hash to.

Reads files and nothing else: no torch, no hub, no database.
"""

import hashlib
import json
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
BLOCK_BYTES = 1 << 20
MOST_HEADER_BYTES = 100_000_000  # as the safetensors library has it


class ModelNotUsable(Exception):
    """A location that holds no model we can use; the message says what is missing and the remedy."""


@dataclass(frozen=True)
class Checkpoint:
    """A usable location, made absolute. ``content_hash`` is empty for a hub id."""

    location: str
    content_hash: str


def is_hub_id(location: str) -> bool:
    """Whether ``location`` can only be meant as "organisation/name" on a hub, not as a directory."""
    # "models/mine" beside an existing folder "models" is a mistyped directory, not an organisation.
    return bool(HUB_ID.fullmatch(location)) and not Path(location).parent.is_dir()


def inspect(location: str, *, on_progress: Callable[[int, int], None] | None = None) -> Checkpoint:
    """Look at a model's files and hash its weights; ``on_progress`` gets (bytes hashed, bytes to hash).

    Raises ModelNotUsable. A hub id is taken as it is: nothing is downloaded to check it.
    """
    if is_hub_id(location):
        return Checkpoint(location, "")
    directory = Path(location).expanduser().resolve()
    check_present(str(directory))
    return Checkpoint(str(directory), _hash(_weights(directory), on_progress or (lambda done, total: None)))


def check_present(location: str) -> None:
    """Raise ModelNotUsable unless ``location`` is a hub id or a directory with a config and safetensors weights."""
    if is_hub_id(location):
        return
    directory = Path(location)
    if not directory.is_dir():
        raise ModelNotUsable(
            f"There is no directory {location}. Give the directory of a checkpoint, or a hub id such as org/name."
        )
    if not (directory / "config.json").is_file():
        raise ModelNotUsable(
            f"{location} has no config.json, so it is no checkpoint. Choose the directory that has it."
        )
    if not _weights(directory):
        raise ModelNotUsable(
            f"{location} has no *.safetensors. Pickled weights (*.bin, *.pt) are not loaded, because loading them runs "
            "whatever code they hold: save the model again as safetensors."
        )


def is_reward_model(location: str) -> bool:
    """Whether the config in this directory names a sequence classifier, which scores and cannot write."""
    config = _config(location)
    architectures = config.get("architectures") or []
    return any(str(name).endswith("ForSequenceClassification") for name in architectures)


def context_length(location: str) -> int | None:
    """The most tokens that the model was made for, where its config says so."""
    length = _config(location).get("max_position_embeddings")
    return length if isinstance(length, int) and length > 0 else None


def parameters(location: str) -> int:
    """How many numbers the weights in a directory are, from the headers of their files; 0 where that cannot be read."""
    if is_hub_id(location):
        return 0
    try:
        return sum(_numbers_in(path) for path in _weights(Path(location)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):  # torn, or another thing's
        return 0


def _config(location: str) -> dict:
    try:
        config = json.loads((Path(location) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _weights(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.safetensors"))


def _numbers_in(path: Path) -> int:
    """A safetensors file begins with the length of its header (8 bytes) and the header, which is JSON."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(length, MOST_HEADER_BYTES)))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def _hash(weights: list[Path], on_progress: Callable[[int, int], None]) -> str:
    digest = hashlib.sha256()
    total = sum(path.stat().st_size for path in weights)
    done = 0
    for path in weights:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                done += len(block)
                on_progress(done, total)
    return digest.hexdigest()
