"""The bytes of a file, unpacked where it is a gzip. A damaged file ends early, and says why, instead of raising.

Nothing is unpacked ahead: a gzip of zeros that would fill a disk costs only time, and no more of that than ROW_SKIPPED
bytes without the end of a row.
"""

import io
import zlib
from pathlib import Path
from typing import Any

from sampling.intake.sources.rows import SourceUnusable

PIECE = 1 << 18
ROW_SKIPPED = 1 << 28  # bytes: up to a minute in which nothing would be heard of the import
GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class SourceStream(io.RawIOBase):
    """Reads a file from its start. ``problem`` is set where it ended before its end."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.problem = ""
        self.position = 0  # bytes of the file itself
        self.ended_a_line = True  # whether the last byte that was read is a line's end
        self._since_row = 0
        self._file = path.open("rb", buffering=0)
        self.is_gzip = self._file.read(2) == GZIP
        self._file.seek(0)
        self._unpack = zlib.decompressobj(_GZIP_WINDOW)
        self._packed = b""
        self._is_at_end = False

    def row_began(self) -> None:
        """Readers call this between rows; without it the stream ends after ROW_SKIPPED bytes."""
        self._since_row = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if self.problem or self._is_at_end:
            return 0
        piece = self._next(len(buffer))
        self._since_row += len(piece)
        if self._since_row > ROW_SKIPPED:
            self.problem = (
                f"A row goes on for more than {ROW_SKIPPED >> 20} MiB; nothing behind it was read. Take it out of the "
                "file, then import again."
            )
            return 0
        self._is_at_end = not piece
        self.ended_a_line = piece.endswith(b"\n") if piece else self.ended_a_line
        buffer[: len(piece)] = piece
        return len(piece)

    def _next(self, most: int) -> bytes:
        try:
            return self._unpacked(most) if self.is_gzip else self._read(most)
        except OSError as error:
            raise SourceUnusable(f"The file could not be read on: {error.strerror or error}. Retry.") from None

    def _read(self, most: int) -> bytes:
        piece = self._file.read(most) or b""
        self.position += len(piece)
        return piece

    def _unpacked(self, most: int) -> bytes:
        """At most ``most`` bytes; none at the end. A gzip may consist of several, one behind the other."""
        while True:
            if self._unpack.eof:
                self._packed = self._unpack.unused_data.lstrip(b"\0")  # padding is allowed
                while not self._packed:
                    if not self._fill():
                        return b""
                    self._packed = self._packed.lstrip(b"\0")
                if not GZIP.startswith(self._packed[:2]):
                    self.problem = "Something that is no gzip stands behind the gzip's end; it was not read."
                    return b""
                self._unpack = zlib.decompressobj(_GZIP_WINDOW)
            if not self._packed and not self._fill():
                self.problem = "The gzip breaks off: the file is not whole. Copy or upload it again."
                return b""
            before = self._unpack.copy()
            try:
                piece = self._unpack.decompress(self._packed, most)
            except zlib.error as error:
                self.problem = f"The gzip is damaged ({error}); what follows cannot be unpacked. Pack or copy it again."
                return _as_far_as_possible(before, self._packed, most)
            self._packed = self._unpack.unconsumed_tail
            if piece:
                return piece

    def _fill(self) -> bool:
        self._packed = self._read(PIECE)
        return bool(self._packed)

    def close(self) -> None:
        self._file.close()
        super().close()


def _as_far_as_possible(unpack: Any, packed: bytes, most: int) -> bytes:
    """What can be unpacked before the damage: zlib itself drops it."""
    whole, broken = 0, len(packed)  # so many bytes can be unpacked, so many cannot
    piece = b""
    while broken - whole > 1:
        middle = (whole + broken) // 2
        try:
            piece = unpack.copy().decompress(packed[:middle], most)
            whole = middle
        except zlib.error:
            broken = middle
    return piece


def head_of(path: Path, most: int) -> tuple[bytes, str]:
    """How the file begins, unpacked, and why there is no more of it."""
    with SourceStream(path) as stream:
        head = io.BufferedReader(stream, PIECE).read(most)
        return head, stream.problem
