"""What a file is: by its content first, then by its name. No file is read here but its head."""

import json
from pathlib import Path

from sampling.intake.sources.files import FileSource
from sampling.intake.sources.json_values import JsonValues, wrapped_list
from sampling.intake.sources.lines import JsonLines
from sampling.intake.sources.parquet import Parquet
from sampling.intake.sources.rows import Source, SourceUnusable
from sampling.intake.sources.separated import Separated, sniff
from sampling.intake.sources.streams import head_of
from sampling.json_lines import BOM, shorten

HEAD_BYTES = 1 << 18
KINDS = "JSON Lines, JSON, CSV, TSV, Parquet, or gzip of these"
LINES_SUFFIXES = (".jsonl", ".ndjson", ".jsonlines")
TABLE_SUFFIXES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
SUFFIXES = (*LINES_SUFFIXES, ".json", *TABLE_SUFFIXES, ".parquet")

PACKED = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook. Unpack it, or save the sheet as CSV",
    b"\x28\xb5\x2f\xfd": "packed with zstd. Unpack it (unzstd FILE), or pack it with gzip",
    b"BZh": "packed with bzip2. Unpack it (bunzip2 FILE), or pack it with gzip",
    b"\xfd7zXZ": "packed with xz. Unpack it (unxz FILE), or pack it with gzip",
    b"7z\xbc\xaf": "a 7z archive. Unpack it",
    b"Rar!": "a RAR archive. Unpack it",
    b"\x1f\x8b": "a gzip inside of a gzip. Unpack it once",
    b"ARROW1": "a lone Arrow file. Give the directory that save_to_disk wrote, or a Parquet file",
    b"SQLite format 3": "an SQLite database. Export its table as CSV",
    b"%PDF": "a PDF",
}
WIDE = (b"\xff\xfe", b"\xfe\xff")


def open_file(path: Path, name: str = "") -> Source:
    """``name``: what the file is called, where that differs from ``path``. Raises SourceUnusable."""
    name = name or path.name
    try:
        if not path.is_file():
            raise SourceUnusable(f"There is no file {shorten(str(path), 300)}. Upload it, or correct its path.")
        head, problem = head_of(path, HEAD_BYTES)
        size = path.stat().st_size
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise SourceUnusable(f"{shorten(name, 300)} cannot be opened: {reason}.") from None
    if not head.strip():
        raise SourceUnusable(f"{shorten(name, 300)} is empty. {problem}".strip())
    source = _recognised(path, head, name.lower().removesuffix(".gz"))
    source.size = size
    return source


def _recognised(path: Path, head: bytes, name: str) -> Source:
    if head.startswith(b"PAR1"):
        return Parquet(path=path)
    _check_readable(head, name)
    text = head.removeprefix(BOM).lstrip()
    first = text[:1]
    if first == b"[" and not name.endswith(LINES_SUFFIXES):
        return JsonValues(path=path, label="JSON")
    if first == b"{":
        return _of_objects(path, text, name)
    if (source := _table(path, head, name)) is not None:
        return source
    if name.endswith(LINES_SUFFIXES) or any(map(_is_object, text.split(b"\n")[:20])):
        return JsonLines(path=path, label="JSON Lines")
    if name.endswith(".json"):
        return JsonValues(path=path, label="JSON")
    raise SourceUnusable(
        f"{shorten(path.name, 300)} is not recognised: it begins with "
        f'"{shorten(text[:80].decode("utf-8", "replace"), 40)}". Give {KINDS}.'
    )


def _check_readable(head: bytes, name: str) -> None:
    for magic, what in PACKED.items():
        if head.startswith(magic):
            raise SourceUnusable(f"{shorten(name, 300)} is {what}, then give {KINDS}.")
    if b"\0" in head[:4] and not _is_wide(head):
        raise SourceUnusable(
            f"{shorten(name, 300)} is no text: it begins with bytes that no letter has. Is it a copy that failed, or "
            f"another kind of file? Give {KINDS}."
        )
    if b"\0" in head[:4] or head.startswith(WIDE):
        raise SourceUnusable(
            f"{shorten(name, 300)} is UTF-16 or UTF-32. Save it as UTF-8 (for example: iconv -f UTF-16 -t UTF-8 FILE)."
        )


def _is_wide(head: bytes) -> bool:
    """Whether zeros stand between letters, as in UTF-16 and UTF-32; in a file of zeros they are all there is."""
    letters = head[:4].replace(b"\0", b"")
    return head.startswith(WIDE) or (bool(letters) and letters.isascii() and letters.decode().strip().isprintable())


def _of_objects(path: Path, text: bytes, name: str) -> FileSource:
    """JSON Lines, unless the first line goes on in the next one, or the only object holds the rows in a list."""
    first, _, rest = text.partition(b"\n")
    goes_on = first.rstrip()[-1:] in b"{[,:"
    is_wrapped = not rest.strip() and wrapped_list(first) is not None
    if not name.endswith(LINES_SUFFIXES) and (goes_on or is_wrapped):
        return JsonValues(path=path, label="JSON")
    return JsonLines(path=path, label="JSON Lines")


def _table(path: Path, head: bytes, name: str) -> Separated | None:
    """By content: two columns or more. By name, one is enough."""
    by_name = TABLE_SUFFIXES.get(Path(name).suffix)
    delimiter = sniff(head) or by_name
    if delimiter is None or name.endswith((*LINES_SUFFIXES, ".json")):
        return None
    return Separated(path=path, delimiter=delimiter)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
