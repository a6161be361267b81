"""What all sources that are one file read front to back have in common."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sampling.intake.sources.left_out import is_left_out, unwrapped
from sampling.intake.sources.rows import Source, SourceRow, SourceUnusable, bad_row, breaks_off
from sampling.intake.sources.streams import PIECE, SourceStream


@dataclass
class FileSource(Source):
    """One file. Subclasses turn its bytes into rows."""

    path: Path = field(default_factory=Path)
    _stream: SourceStream | None = None

    @property
    def position(self) -> int | None:
        return self._stream.position if self._stream else 0

    def rows(self, start: int = 0) -> Iterator[SourceRow]:
        try:
            stream = SourceStream(self.path)
        except OSError as error:
            raise SourceUnusable(f"{self.path.name} cannot be opened: {error.strerror}. Is it still there?") from None
        self._stream = stream
        self.broke_off = ""
        with stream:
            for row in self._rows(stream, io.BufferedReader(stream, PIECE), start):
                stream.row_began()
                if row.row is not None and is_left_out(row.row):
                    self.unwraps = True
                    yield unwrapped(row.line, row.row)
                else:
                    yield row

    def _rows(self, stream: SourceStream, file: io.BufferedReader, start: int) -> Iterator[SourceRow]:
        """Ends with `_ends`."""
        raise NotImplementedError

    def _ends(self, stream: SourceStream, last: int, start: int, content: str = "") -> Iterator[SourceRow]:
        """After row ``last``: one more row that says why there are no more, if the file ended before its end."""
        self.passed = last + bool(stream.problem)
        if stream.problem:
            self.broke_off = breaks_off(last, stream.problem)
        if stream.problem and last >= start:
            yield bad_row(last + 1, stream.problem, content)
