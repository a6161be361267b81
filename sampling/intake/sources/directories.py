"""A directory: what the datasets library saved, or files, in splits that their names or the dataset's card tell."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sampling.intake.sources.arrow_rows import rows_of_batch
from sampling.intake.sources.recognising import KINDS, SUFFIXES, open_file
from sampling.intake.sources.rows import Source, SourceRow, SourceUnusable, bad_row, breaks_off
from sampling.json_lines import shorten

SAVED_BATCH = 256
PARTS_TOLD = 3  # of files that break off
SPLIT_WORDS = {
    "train": {"train", "training"},
    "validation": {"validation", "valid", "val", "dev"},
    "eval": {"eval", "evaluation"},
    "test": {"test", "testing"},
}
OTHER = "other"  # files without such a word beside others that have one
NOT_ROWS = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}


def open_directory(path: Path, *, split_name: str = "", subset: str = "") -> Source:
    """Where there are several splits and none is named, the one for training is read. Raises SourceUnusable."""
    if not path.is_dir():
        raise SourceUnusable(f"There is no directory {shorten(str(path), 300)}. Correct its path.")
    if (path / "dataset_dict.json").is_file():
        splits = sorted(child.name for child in path.iterdir() if (child / "state.json").is_file())
        chosen = choose(split_name, splits, "split")
        return Saved(path=path / chosen, splits=splits, split_name=chosen)
    if (path / "state.json").is_file():
        return Saved(path=path)
    return _open_files(path, split_name, subset)


def choose(wanted: str, there: list[str], what: str) -> str:
    """The one that is wanted; else the one for training, or the first. Raises SourceUnusable."""
    if wanted and wanted not in there:
        raise SourceUnusable(f'There is no {what} "{shorten(wanted)}". Choose one of {", ".join(there) or "none"}.')
    if wanted or not there:
        return wanted
    return next((name for name in ("train", "default") if name in there), there[0])


def _open_files(path: Path, split_name: str, subset: str) -> Source:
    subsets = _by_card(path) or {"": _by_name(path)}
    names = [name for name in subsets if name]
    chosen = choose(subset, names, "subset")
    splits = {name: files for name, files in subsets[chosen].items() if files}
    if not splits:
        raise SourceUnusable(f"{shorten(str(path), 300)} holds no file that can be read. Put {KINDS} into it.")
    named = [name for name in splits if name]
    split = choose(split_name, named, "split")
    return Chain(
        label=f"{len(splits[split])} files" if len(splits[split]) > 1 else "1 file",
        parts=[(str(file.relative_to(path)), _open_part(file)) for file in splits[split]],
        splits=named if len(named) > 1 else [],
        subsets=names if len(names) > 1 else [],
        split_name=split,
        subset=chosen,
    )


def _open_part(file: Path) -> Source:
    try:
        return open_file(file)
    except SourceUnusable as unusable:
        raise SourceUnusable(f"In this directory: {unusable}") from None


def _by_name(path: Path) -> dict[str, list[Path]]:
    """Files by split. Where no name tells one, all are of the split without a name."""
    splits: dict[str, list[Path]] = {}
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path)
        if _is_rows(file) and not any(part.startswith((".", "_")) for part in inside.parts):
            splits.setdefault(_split_of(inside), []).append(file)
    if len(splits) > 1 and "" in splits:
        splits[OTHER] = splits.pop("")
    return splits


def _is_rows(file: Path) -> bool:
    name = file.name.lower().removesuffix(".gz")
    return name.endswith(SUFFIXES) and name not in NOT_ROWS and file.is_file()


def _split_of(inside: Path) -> str:
    for part in reversed(inside.parts):
        words = set(re.split(r"[^a-z0-9]+", part.lower()))
        for split, names in SPLIT_WORDS.items():
            if words & names:
                return split
    return ""


def _by_card(path: Path) -> dict[str, dict[str, list[Path]]]:
    """Files by subset and split, as the card's "configs" say; none where there is no card, or it does not say."""
    card = path / "README.md"
    if not card.is_file():
        return {}
    from huggingface_hub import metadata_load

    try:
        configs = (metadata_load(card) or {}).get("configs") or []
        return {str(config["config_name"]): _files_of(path, config["data_files"]) for config in configs}
    except Exception:  # a card is for people: whatever else stands in it, the files' names can still tell
        return {}


def _files_of(path: Path, stated: Any) -> dict[str, list[Path]]:
    """Of a card's data_files: a pattern, a list of them, or one of {"split", "path"}."""
    if isinstance(stated, dict):
        stated = [{"split": split, "path": patterns} for split, patterns in stated.items()]
    if isinstance(stated, str) or all(isinstance(pattern, str) for pattern in stated):
        stated = [{"split": "train", "path": stated}]
    return {
        str(part["split"]): [
            file
            for pattern in ([part["path"]] if isinstance(part["path"], str) else part["path"])
            for file in sorted(path.glob(pattern))
            if _is_rows(file) and file.resolve().is_relative_to(path.resolve())
        ]
        for part in stated
    }


@dataclass
class Chain(Source):
    """Several files as one source: rows are numbered on from file to file."""

    parts: list[tuple[str, Source]] = field(default_factory=list)  # (name, source)
    _read: int = 0  # bytes of the files that are read to their end
    _now: Source | None = None

    def __post_init__(self) -> None:
        self.size = sum(source.size or 0 for _, source in self.parts)
        self.columns_hint = list(dict.fromkeys(name for _, part in self.parts for name in part.columns_hint))

    @property
    def position(self) -> int | None:
        return self._read + ((self._now.position or 0) if self._now else 0)

    def rows(self, start: int = 0) -> Iterator[SourceRow]:
        self._read = before = 0
        broken: list[str] = []
        self.broke_off = ""
        for name, source in self.parts:
            self._now = source
            yield from self._numbered(name, source, before, max(start - before, 0))
            before += source.passed
            self.unwraps |= source.unwraps
            if source.broke_off:
                broken.append(f"{name}: {source.broke_off}")
                self.broke_off = " ".join(broken[:PARTS_TOLD])
                if (others := len(broken) - PARTS_TOLD) > 0:
                    self.broke_off += f" Others of its files do too: {others:,}."
            self._now, self._read = None, self._read + (source.size or 0)
        self.passed = before

    def _numbered(self, name: str, source: Source, before: int, start: int) -> Iterator[SourceRow]:
        line = start
        try:
            for row in source.rows(start):
                line = row.line
                problem = f"{name}, row {row.line}: {row.problem}" if row.problem else ""
                yield replace(row, line=before + row.line, problem=problem)
        except SourceUnusable as unusable:
            source.passed = line + 1
            source.broke_off = breaks_off(line, str(unusable))
            yield bad_row(before + line + 1, f"{name}: {unusable}")


@dataclass
class Saved(Source):
    """What `Dataset.save_to_disk` wrote: memory-mapped, so that passing over rows costs nothing."""

    path: Path = field(default_factory=Path)
    label: str = "dataset saved by the datasets library"
    _done: float = 0.0

    def __post_init__(self) -> None:
        self.size = sum(file.stat().st_size for file in self.path.glob("*.arrow"))
        self._table = self._load()
        self.columns_hint = list(self._table.column_names)

    @property
    def position(self) -> int | None:
        return int((self.size or 0) * self._done)

    def _load(self) -> Any:
        import datasets  # web processes import this module, and never read a source

        try:
            return datasets.load_from_disk(str(self.path)).with_format("arrow")
        except Exception as error:  # whatever is wrong with its files
            raise SourceUnusable(
                f"The saved dataset cannot be read ({type(error).__name__}: {shorten(str(error), 200)}). Is it whole? "
                "Save it again with save_to_disk."
            ) from None

    def rows(self, start: int = 0) -> Iterator[SourceRow]:
        total = self._table.num_rows
        for begin in range(start, total, SAVED_BATCH):
            end = min(begin + SAVED_BATCH, total)
            yield from rows_of_batch(self._table[begin:end], begin + 1)
            self._done = end / total
        self.passed = total
