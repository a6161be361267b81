"""The files of an export: JSON lines or Parquet, written as they come, with size, SHA-256 and rows known at the end.

Both are made of the same bytes: Parquet's tables are parsed, in C++, from the JSON lines that the other file would
have. So their content cannot differ. pyarrow is imported by who writes Parquet only: no web process loads it.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, assert_never

import orjson

from annotation.datasets.layouts.layout import Features, FileType

JSON_LINES_AT_ONCE = 1 << 18  # bytes
# A row group is as many rows, or as many bytes of JSON, as come first. What is decided by the rows alone is the same
# for ever; and nothing larger than this is ever in memory.
GROUP_ROWS = 5000
GROUP_BYTES = 2 << 20
DTYPES = ("string", "int64", "float64", "bool")
_LINE = orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True)
class Written:
    """One file, as `SnapshotExport.files` keeps it. ``rows``: None for what holds none, as the card."""

    name: str
    bytes: int
    sha256: str
    rows: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "bytes": self.bytes, "sha256": self.sha256, "rows": self.rows}


class HashedFile:
    """A file to be written from its beginning to its end, whose size and SHA-256 are known on the way."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest, self.size = file, hashlib.sha256(), 0

    def write(self, content) -> int:
        self._digest.update(content)
        written = self._file.write(content)
        self.size += written
        return written

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Nothing: whoever opened the file closes it."""

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class RowsFile:
    """Takes rows, one after the other; what they become is its subclass's."""

    def __init__(self, file: HashedFile, features: Features) -> None:
        self.file, self.rows = file, 0
        self._lines: list[bytes] = []
        self._bytes = 0

    def add(self, row: Mapping[str, Any]) -> None:
        line = orjson.dumps(row, option=_LINE)
        self._lines.append(line)
        self._bytes += len(line)
        self.rows += 1
        if self._is_enough():
            self.flush()

    def flush(self) -> None:
        if self._lines:
            self._write(b"".join(self._lines))
            self._lines.clear()
            self._bytes = 0

    def end(self) -> None:
        self.flush()

    def let_go(self) -> None:
        """Hold nothing open, also where the file did not come to its end."""

    def _is_enough(self) -> bool:
        return self._bytes >= JSON_LINES_AT_ONCE

    def _write(self, lines: bytes) -> None:
        raise NotImplementedError


class JsonLinesFile(RowsFile):
    def _write(self, lines: bytes) -> None:
        self.file.write(lines)


class ParquetFile(RowsFile):
    def __init__(self, file: HashedFile, features: Features) -> None:
        from pyarrow import json, parquet

        super().__init__(file, features)
        self._read_json, self._json = json.read_json, json
        self._schema = arrow_schema(features)
        # All options by name: a default that changes with a release would change the bytes. No statistics: of texts
        # they are texts, kept in memory for each group until the file is closed. No dictionaries: hardly a text comes
        # twice.
        self._writer = parquet.ParquetWriter(
            file, self._schema, version="2.6", compression="zstd", compression_level=3, use_dictionary=False,
            data_page_version="1.0", write_statistics=False, use_compliant_nested_type=True, store_schema=True,
            write_page_index=False,
        )  # fmt: skip

    def end(self) -> None:
        super().end()
        self._writer.close()

    def let_go(self) -> None:
        self._writer.close()  # does nothing the second time

    def _is_enough(self) -> bool:
        return len(self._lines) >= GROUP_ROWS or self._bytes >= GROUP_BYTES

    def _write(self, lines: bytes) -> None:
        options = self._json.ReadOptions(use_threads=False, block_size=max(len(lines), 1 << 16))
        known = self._json.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior="error")
        table = self._read_json(BytesIO(lines), read_options=options, parse_options=known)
        self._writer.write_table(table, row_group_size=GROUP_ROWS)


@contextmanager
def rows_file(path: Path, features: Features, file_type: FileType) -> Iterator[RowsFile]:
    """A file to add rows to. It is on the disk when the block is left well."""
    with path.open("wb") as opened:
        made: RowsFile
        match file_type:
            case FileType.JSONL:
                made = JsonLinesFile(HashedFile(opened), features)
            case FileType.PARQUET:
                made = ParquetFile(HashedFile(opened), features)
            case _:
                assert_never(file_type)
        try:
            yield made
            made.end()
        finally:
            made.let_go()
        opened.flush()
        os.fsync(opened.fileno())


def write_whole(path: Path, content: bytes) -> Written:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Written(path.name, len(content), hashlib.sha256(content).hexdigest())


def described(path: Path) -> Written:
    """A file that is there, read once for its SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return Written(path.name, path.stat().st_size, digest.hexdigest())


def arrow_schema(features: Features):
    """The columns as a pyarrow schema. Raises ValueError for a type that a layout must not use."""
    import pyarrow

    return pyarrow.schema([(name, _arrow(kind)) for name, kind in features.items()])


def _arrow(kind: Any):
    import pyarrow

    match kind:
        case str() if kind in DTYPES:
            return {"string": pyarrow.string(), "int64": pyarrow.int64(), "float64": pyarrow.float64()}.get(
                kind, pyarrow.bool_()
            )
        case {"list": dict() as inner} if "list" not in inner:
            return pyarrow.list_(_arrow({"struct": inner}))
        case {"list": inner}:
            return pyarrow.list_(_arrow(inner))
        case {"struct": inner}:
            return pyarrow.struct([(name, _arrow(each)) for name, each in inner.items()])
        case _:
            raise ValueError(f"{kind!r} is no type of a column. Use one of {', '.join(DTYPES)}, a list or a struct.")
