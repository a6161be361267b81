"""Where rows come from: a file, a directory, or a dataset of a hub, read front to back in bounded memory.

    source = open_source("file", "/data/pairs.jsonl.gz")
    for row in source.rows(start=2000):     # SourceRow(line, row, problem, content)
        ...

Bounds, so that a hostile file costs time at most: a row has up to 2,000,000 characters (ROW_CHARACTERS), what is shown
of it 20,000 (CONTENT_CHARACTERS); a gzip is unpacked as it is read, and given up where it yields 256 MiB without the
end of a row (ROW_SKIPPED); a gzip of a Parquet file must be unpacked on disk, up to 16 GiB. NaN is read as null, as
Python's json and pandas mean it. Whatever else is no JSON, or no text that PostgreSQL can hold, is told as that row's
problem. Only SourceUnusable is ever raised.
"""

from pathlib import Path

from sampling.intake.sources.directories import open_directory
from sampling.intake.sources.hub import open_hub
from sampling.intake.sources.recognising import open_file
from sampling.intake.sources.rows import CONTENT_CHARACTERS, ROW_CHARACTERS, Source, SourceRow, SourceUnusable

__all__ = ["CONTENT_CHARACTERS", "ROW_CHARACTERS", "Source", "SourceRow", "SourceUnusable", "open_source"]


def open_source(kind: str, location: str | Path, *, split_name: str = "", subset: str = "", name: str = "") -> Source:
    """``kind`` is a SourceKind's value; ``name`` what a file is called where its path does not say. Raises
    SourceUnusable, with the remedy.
    """
    match kind:
        case "file":
            return open_file(Path(location), name)
        case "directory":
            return open_directory(Path(location), split_name=split_name, subset=subset)
        case "hub":
            return open_hub(str(location), split_name=split_name, subset=subset)
        case _:
            raise ValueError(f"{kind!r} is no kind of source")
