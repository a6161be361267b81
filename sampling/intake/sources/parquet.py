"""Parquet, batch by batch. Row groups that are passed over are not read."""

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sampling.intake.sources.arrow_rows import rows_of_batch
from sampling.intake.sources.rows import Source, SourceRow, SourceUnusable, bad_row, breaks_off
from sampling.intake.sources.streams import GZIP

BATCH_ROWS = 256
READ_BYTES = 1 << 20  # at a time, of each column: a row group may be larger than the memory
UNPACKED_BYTES = 16 << 30  # of a gzip, which must lie unpacked on disk to be read from its end


@dataclass
class Parquet(Source):
    path: Path = field(default_factory=Path)
    label: str = "Parquet"
    _done: float = 0.0  # share of the rows read by the newest iteration

    def __post_init__(self) -> None:
        with self._open() as file:
            self.columns_hint = list(_parquet_file(file, self.path.name).schema_arrow.names)

    @property
    def position(self) -> int | None:
        return None if self.size is None else int(self.size * self._done)

    def rows(self, start: int = 0) -> Iterator[SourceRow]:
        self._done, self.broke_off = 0.0, ""
        with self._open() as file:
            parquet = _parquet_file(file, self.path.name)
            yield from self._rows(parquet, start)

    def _rows(self, parquet: Any, start: int) -> Iterator[SourceRow]:
        total = parquet.metadata.num_rows
        line = 0
        for group in range(parquet.num_row_groups):
            rows = parquet.metadata.row_group(group).num_rows
            if line + rows <= start:
                line += rows
                continue
            try:
                for batch in parquet.iter_batches(batch_size=BATCH_ROWS, row_groups=[group]):
                    yield from rows_of_batch(batch.slice(max(start - line, 0)), max(line, start) + 1)
                    line += batch.num_rows
                    self._done = line / max(total, 1)
            except Exception as error:  # pyarrow raises of many kinds where a page is damaged
                self.passed = line + 1
                problem = f"The file is damaged behind this row ({_shown(error)}). Copy it again."
                self.broke_off = breaks_off(line, problem)
                if line >= start:
                    yield bad_row(line + 1, problem)
                return
        self.passed = line

    def _open(self) -> BinaryIO:
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise SourceUnusable(f"{self.path.name} cannot be opened: {error.strerror}. Is it still there?") from None
        is_gzip = file.read(2) == GZIP
        file.seek(0)
        return _unpacked(file, self.path.name) if is_gzip else file


def _unpacked(file: BinaryIO, name: str) -> BinaryIO:
    unpacked = tempfile.TemporaryFile()  # noqa: SIM115 the caller closes it
    try:
        with gzip.GzipFile(fileobj=file) as packed:
            while piece := packed.read(1 << 20):
                unpacked.write(piece)
                if unpacked.tell() > UNPACKED_BYTES:
                    raise SourceUnusable(
                        f"{name} is longer than {UNPACKED_BYTES >> 30} GiB when unpacked. Parquet is packed by itself: "
                        "give it without gzip."
                    )
    except (OSError, EOFError, zlib.error) as error:
        unpacked.close()
        raise SourceUnusable(f"{name} cannot be unpacked ({error}). Copy or upload it again.") from None
    except SourceUnusable:
        unpacked.close()
        raise
    finally:
        file.close()
    unpacked.seek(0)
    return unpacked


def _parquet_file(file: BinaryIO, name: str) -> Any:
    from pyarrow import parquet  # web processes import this module, and never read a source

    try:
        return parquet.ParquetFile(file, pre_buffer=False, buffer_size=READ_BYTES)
    except Exception as error:  # pyarrow raises of many kinds where the footer is damaged
        raise SourceUnusable(
            f"{name} is no whole Parquet file ({_shown(error)}): it is read from its end. Copy or upload it again."
        ) from None


def _shown(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
