"""How an import reads its source: `DataImport.options`, checked."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Options:
    format: str = ""  # a key of intake.formats.FORMATS; empty: recognised by the rows' shape
    mapping: dict[str, str] = field(default_factory=dict)  # our name -> the source's column (intake/mapping.py)
    split_name: str = ""  # of a hub dataset or a directory with several: "train"
    subset: str = ""  # of a hub dataset with several configurations
    eval_percent: float = 0.0  # of prompts whose row names no split
    split_group: str = ""  # metadata key: prompts of one group go to the same split
    steps: list[dict[str, Any]] = field(default_factory=list)  # filters, in their order (curation/steps.py)
    store: dict[str, Any] = field(default_factory=dict)  # what the store's form asked for

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def options_of(stored: dict[str, Any]) -> Options:
    """Raises TypeError for a key that there is not."""
    return Options(**stored)
