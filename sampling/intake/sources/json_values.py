"""JSON that is no JSON Lines: a list of objects, an object with such a list inside, or objects one behind the other.

The text is cut into its rows without being parsed, which bounds memory, lets a bad row be told alone where a parser
would have to stop (NaN, a missing comma inside of it), and makes passing over rows cheap.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from sampling.intake.sources.files import FileSource
from sampling.intake.sources.rows import ROW_BYTES, row_of_json
from sampling.json_lines import BOM

PIECE = 1 << 18
SPACE = b" \t\r\n"
OPENED_BY = {b"]": b"[", b"}": b"{"}
ENDS_IN_A_ROW = "The file ends in the middle of a row: it is not whole. Copy or upload it again."
LIST_END = ord("]")
MOST_DEPTH = 10_000  # brackets; a parser gives up much sooner, and nobody means it

# The names under which lists of rows are known to stand in an object, and those of lists that are part of one row.
WRAPPERS = {"data", "rows", "records", "items", "examples", "instances", "samples", "entries", "questions", "prompts"}
WRAPPERS |= {"comparisons", "judgments", "train"}
PARTS_OF_A_ROW = {"messages", "conversations", "conversation", "turns", "prompt", "context", "chosen", "rejected"}
PARTS_OF_A_ROW |= {"completions", "completion", "responses", "answers", "choices", "annotations", "replies", "features"}
PARTS_OF_A_ROW |= {"individual_preference", "preferred_output", "non_preferred_output", "conversation_a"}

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_TOKEN = re.compile(_STRING + rb'|["\[\]{},]', re.DOTALL)
_INSIDE_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_ROOT_TOKEN = re.compile(_STRING + rb'|[\[\]{}]|"', re.DOTALL)
_BETWEEN = re.compile(rb"[ \t\r\n,]*+")
_LIST_OF_OBJECTS = re.compile(rb"\[\s*+\{")


def wrapped_list(head: bytes) -> int | None:
    """Where in ``head``, which begins with {, a list of rows begins: behind its [. None where the object is a row.

    The list has one of the usual names, or is all that the object holds, as far as it can be seen in the head.
    """
    depth, key, keys, begins = 0, b"", 0, None
    for token in _ROOT_TOKEN.finditer(head):
        match token.group()[:1]:
            case b'"' if token.group() == b'"':
                break  # a text that goes on behind the head
            case b'"' if depth == 1 and head[token.end() :].lstrip(SPACE)[:1] == b":":
                key, keys = token.group()[1:-1], keys + 1
            case b"[" | b"{":
                if depth == 1 and _LIST_OF_OBJECTS.match(head, token.start()):
                    name = key.decode("utf-8", "replace")
                    if name in WRAPPERS:
                        return token.end()
                    if keys == 1 and name not in PARTS_OF_A_ROW:
                        begins = token.end()
                depth += 1
            case b"}" | b"]":
                depth -= 1
                if depth == 0:
                    return begins if keys == 1 else None
    return begins


class JsonValues(FileSource):
    """``wrapper_head``: bytes at the start in which a list of rows inside of an object is looked for."""

    wrapper_head = 1 << 18

    def _rows(self, stream, file, start):
        head = file.read(self.wrapper_head).removeprefix(BOM).lstrip(SPACE)
        if head[:1] == b"[":
            cutter = Cutter(file, head[1:], in_list=True)
        elif head[:1] == b"{" and (begin := wrapped_list(head)) is not None:
            cutter = Cutter(file, head[begin:], in_list=True, ignores_rest=True)
        else:
            cutter = Cutter(file, head, in_list=False)
        line = 0
        for raw, is_whole in cutter:
            line += 1
            if line <= start:
                stream.row_began()
                continue
            yield row_of_json(line, raw, is_whole=is_whole)
        stream.problem = stream.problem or cutter.problem
        yield from self._ends(stream, line, start, cutter.left.decode("utf-8", "replace"))


def _close(opened: list[bytes], kind: bytes) -> None:
    """A bracket that closes none of its kind closes all: so a row with one too many, or too few, ends by itself."""
    while opened and opened.pop() != OPENED_BY[kind]:
        pass


class Cutter:
    """Iterates over (the bytes of one value, whether these are all of them): of a list's values, or of a file's.

    A value of more than ROW_BYTES is passed over, and comes with how it begins. ``problem`` is set, and ``left`` is
    what was left of the file, where it ends in the wrong place.
    """

    def __init__(self, file: BinaryIO, buffer: bytes, *, in_list: bool, ignores_rest: bool = False) -> None:
        self.problem = ""
        self.left = b""
        self._file = file
        self._buffer = buffer
        self._at = 0  # where in the buffer the next value begins; what stands before it is dropped now and then
        self._kept: bytes | None = None  # of a value that is too long: how it begins
        self._in_list = in_list
        self._ignores_rest = ignores_rest

    def __iter__(self) -> Iterator[tuple[bytes, bool]]:
        while self._skip_between():
            if self._in_list and self._buffer[self._at] == LIST_END:
                self._at += 1
                self._end_of_list()
                return
            if (end := self._end_of_value()) is None:
                self.left = self._buffer[self._at :] if self._kept is None else self._kept
                self.problem = self.problem or ENDS_IN_A_ROW
                return
            yield self._cut(end)
        if self._in_list:
            self.problem = "The list of rows is not closed: the file is not whole. Copy or upload it again."

    def _cut(self, end: int) -> tuple[bytes, bool]:
        begin, self._at = self._at, end
        if self._kept is None:
            return self._buffer[begin:end].rstrip(SPACE), True
        kept, self._kept = self._kept, None
        return kept, False

    def _end_of_list(self) -> None:
        if not self._ignores_rest and self._skip_between():
            self.left = self._buffer[self._at :]
            self.problem = "Something stands behind the end of the list; it was not read. Make it one list."

    def _skip_between(self) -> bool:
        """To the next value; False where there is none."""
        while True:
            self._at = _BETWEEN.match(self._buffer, self._at).end()
            if self._at < len(self._buffer):
                return True
            if not self._more():
                return False

    def _more(self) -> bool:
        piece = self._file.read(PIECE)
        self._buffer = self._buffer[self._at :] + piece
        self._at = 0
        return bool(piece)

    def _end_of_value(self) -> int | None:
        """Where the value that begins at ``_at`` ends in the buffer; None where the file ends first."""
        opened: list[bytes] = []  # brackets
        scanned = 0  # bytes of the value looked at
        while True:
            for token in _TOKEN.finditer(self._buffer, self._at + scanned):
                kind = token.group()[:1]
                if token.group() == b'"':  # a text that goes on behind the buffer
                    scanned = token.start() - self._at
                    break
                if kind == b"[" or kind == b"{":
                    opened.append(kind)
                    if len(opened) > MOST_DEPTH:
                        self.problem = (
                            "A row is nested too deeply; nothing behind it was read. Take it out of the file."
                        )
                        return None
                elif kind == b"]" or kind == b"}":
                    if not opened:  # a value without brackets, and what follows it
                        return max(token.start(), self._at + 1)
                    _close(opened, kind)
                    if not opened:
                        return token.end()
                elif kind == b"," and not opened:
                    return token.start()
            else:
                scanned = len(self._buffer) - self._at
            is_in_text = scanned < len(self._buffer) - self._at
            if len(self._buffer) - self._at > ROW_BYTES:
                if not self._drop(is_in_text, scanned):
                    return None
                scanned = 0
            elif not self._more():
                is_bare = not (opened or is_in_text or self._in_list)
                return len(self._buffer) if is_bare else None

    def _drop(self, is_in_text: bool, scanned: int) -> bool:
        """Forget what was read of a value that is too long, to its text's end; False where the file ends first."""
        if self._kept is None:
            self._kept = self._buffer[self._at : self._at + ROW_BYTES]
        if not is_in_text:
            self._at = len(self._buffer)
            return True
        self._at += scanned + 1
        while True:
            self._at = _INSIDE_STRING.match(self._buffer, self._at).end()
            if self._buffer[self._at : self._at + 1] == b'"':
                self._at += 1
                return True
            if not self._more():  # what is left is at most a lone backslash
                return False
