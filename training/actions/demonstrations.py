"""Importing demonstrations: a file of conversations becomes a set that is known by its content."""

import hashlib
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, assert_never

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from sampling.json_lines import BadLine
from training.launching.demonstration_files import Demonstration, read_demonstrations
from training.models import DemonstrationSet

REJECTED_KEPT = 5000  # a file of a million bad lines must not become a page, or a row, of a million
TOLD_AT_ONCE = 5
PROGRESS_EVERY = 500  # lines
MAX_NAME = 120


@dataclass
class _Read:
    """What reading a file gave."""

    content_hash: str = ""
    rows: int = 0
    rejected_count: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, bad: BadLine) -> None:
        self.rejected_count += 1
        if len(self.rejected) < REJECTED_KEPT:
            self.rejected.append({"line": bad.line, "reason": bad.reason, "content": bad.content})


def import_demonstrations(
    *,
    name: str,
    file: BinaryIO,
    file_name: str,
    created_by: Any = None,
    request_key: uuid.UUID | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> DemonstrationSet:
    """The set of a JSON Lines file's good conversations, with the reason for each bad line.

    A file whose good conversations are those of a set already gives that set, whatever the name: importing twice adds
    nothing. ``on_progress`` gets the number of bytes read so far. Raises ValidationError, by field.
    """
    if request_key and (known := DemonstrationSet.objects.filter(request_key=request_key).first()):
        return known
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME:
        raise ValidationError({"name": f"Give the set a name of at most {MAX_NAME} characters."})
    folder = settings.VAR_DIR / "demonstrations"
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{uuid.uuid4().hex}.partial"
    try:
        read = _copied(file, partial, on_progress)
        if not read.rows:
            raise ValidationError({"file": _nothing_usable(read)})
        if known := DemonstrationSet.objects.filter(content_hash=read.content_hash).first():
            return known
        if DemonstrationSet.objects.filter(name=name).exists():
            raise ValidationError({"name": _name_taken(name)})
        return _kept(partial, read, name=name, file_name=file_name, created_by=created_by, request_key=request_key)
    finally:
        partial.unlink(missing_ok=True)


def _copied(file: BinaryIO, target: Path, on_progress: Callable[[int], object] | None) -> _Read:
    """Write the good conversations of ``file`` to ``target``, a line each, as they are read."""
    read, digest = _Read(), hashlib.sha256()
    with target.open("wb") as out:
        for number, line in enumerate(read_demonstrations(file), start=1):
            match line:
                case Demonstration():
                    out.write(line.as_line)
                    digest.update(line.as_line)
                    read.rows += 1
                case BadLine():
                    read.reject(line)
                case _:
                    assert_never(line)
            if on_progress and number % PROGRESS_EVERY == 0:
                on_progress(file.tell())
        out.flush()
        os.fsync(out.fileno())
    if on_progress:
        on_progress(file.tell())
    read.content_hash = digest.hexdigest()
    return read


def _kept(
    partial: Path, read: _Read, *, name: str, file_name: str, created_by: Any, request_key: uuid.UUID | None
) -> DemonstrationSet:
    # Called after its content: two imports of one file at the same instant write the same bytes to the same place.
    location = partial.parent / f"{read.content_hash}.jsonl"
    partial.replace(location)
    try:
        return DemonstrationSet.objects.create(
            name=name,
            file_name=Path(file_name).name[:255],
            location=str(location),
            content_hash=read.content_hash,
            rows=read.rows,
            rejected=read.rejected,
            rejected_count=read.rejected_count,
            request_key=request_key,
            created_by=created_by,
        )
    except IntegrityError:  # two requests at the same instant
        if request_key and (known := DemonstrationSet.objects.filter(request_key=request_key).first()):
            return known
        raise ValidationError({"name": _name_taken(name)}) from None


def _name_taken(name: str) -> str:
    return f'There is a set "{name}" with other conversations. Choose another name.'


def _nothing_usable(read: _Read) -> str:
    if not read.rejected_count:
        return "The file is empty. Give one with a conversation a line."
    told = " ".join(f"Line {bad['line']}: {bad['reason']}" for bad in read.rejected[:TOLD_AT_ONCE])
    more = read.rejected_count - TOLD_AT_ONCE
    return f"No line can be used. {told}" + (f" And {more:,} more." if more > 0 else "")
