"""A dataset of a hub, streamed: nothing is kept on disk. Whether the hub answers is found out first, in seconds: the
datasets library itself would retry for minutes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sampling.intake.sources.arrow_rows import plain
from sampling.intake.sources.directories import choose
from sampling.intake.sources.rows import Source, SourceRow, SourceUnusable, bad_row, row_of
from sampling.json_lines import Unusable, shorten

HUB_SECONDS = 10.0  # for the hub's first answer
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
REMEDY = "Download the dataset where there is a network, then give its files or its directory."


def open_hub(dataset_id: str, *, split_name: str = "", subset: str = "") -> Source:
    """Raises SourceUnusable: no such dataset, one that needs a login, or no network."""
    if not HUB_ID.fullmatch(dataset_id):
        raise SourceUnusable(f'"{shorten(dataset_id)}" is no id of a hub\'s dataset; those look like "owner/name".')
    if Path(dataset_id).exists():
        raise SourceUnusable(f'"{dataset_id}" is also a path here. Give its directory, or the owner with the name.')
    _check_reachable(dataset_id)
    import datasets

    try:
        subsets = list(datasets.get_dataset_config_names(dataset_id))
        chosen = choose(subset, subsets, "subset")
        splits = list(datasets.get_dataset_split_names(dataset_id, chosen or None))
        split = choose(split_name, splits, "split")
        stream = datasets.load_dataset(dataset_id, chosen or None, split=split, streaming=True)
    except SourceUnusable:
        raise
    except Exception as error:  # the library's own kinds, the network's, and those of whatever the files hold
        raise SourceUnusable(f"{dataset_id} cannot be opened ({_shown(error)}). {REMEDY}") from None
    return Hub(
        label="dataset of a hub",
        dataset_id=dataset_id,
        stream=stream,
        splits=splits if len(splits) > 1 else [],
        subsets=subsets if len(subsets) > 1 else [],
        split_name=split,
        subset=chosen,
        columns_hint=list(stream.column_names or []),
    )


def _check_reachable(dataset_id: str) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        HfApi().dataset_info(dataset_id, timeout=HUB_SECONDS)
    except GatedRepoError:
        raise SourceUnusable(
            f"{dataset_id} is given only to those who accepted its terms. Accept them at the hub and set HF_TOKEN for "
            "the worker."
        ) from None
    except RepositoryNotFoundError:
        raise SourceUnusable(
            f"The hub has no dataset {dataset_id}, or it is private. Correct the id, or set HF_TOKEN for the worker."
        ) from None
    except Exception as error:  # no network, a proxy in between, HF_HUB_OFFLINE ...
        raise SourceUnusable(f"The hub does not answer ({_shown(error)}). {REMEDY}") from None


@dataclass
class Hub(Source):
    dataset_id: str = ""
    stream: Any = None  # a datasets.IterableDataset

    @property
    def position(self) -> int | None:
        return None

    def rows(self, start: int = 0) -> Iterator[SourceRow]:
        """Raises SourceUnusable where the network breaks: going on from ``start`` later loses nothing."""
        line = start
        try:
            for row in self.stream.skip(start) if start else self.stream:
                line += 1
                yield _row(line, row)
        except Exception as error:
            raise SourceUnusable(
                f"{self.dataset_id} could not be read on after row {line:,} ({_shown(error)}). Retry: it goes on there."
            ) from None
        self.passed = line


def _row(line: int, row: dict[str, Any]) -> SourceRow:
    try:
        return row_of(line, {str(name): plain(value) for name, value in row.items()})
    except Unusable as unusable:
        return bad_row(line, str(unusable))


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {shorten(str(error), 200)}"
