"""Serves a file so that a download that broke off goes on where it was: ranges, with the file's hash as its ETag.

RFC 9110, sections 13 and 14. One range a request, as every downloader asks; several at once are answered with the
whole file, which the RFC allows.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header, parse_etags

CHUNK = 1 << 16  # bytes
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class RangeNotSatisfiable(Exception):
    """What is asked for begins behind the file's end."""


def file_response(request: HttpRequest, path: Path, *, name: str, content_type: str, sha256: str) -> HttpResponseBase:
    """200 with the whole, 206 with the part asked for, 304 for who has it, 416 for a part that there is not."""
    size, etag = path.stat().st_size, f'"{sha256}"'
    response: HttpResponseBase
    if _has_it(request, etag):
        response = HttpResponse(status=304)
    else:
        try:
            first, last, status = _part(request, size, etag)
        except RangeNotSatisfiable:
            response = HttpResponse(status=416)
            response["Content-Range"] = f"bytes */{size}"
        else:
            response = _content(request, path, first, last, status, content_type)
            response["Content-Disposition"] = content_disposition_header(True, name)
            if status == 206:
                response["Content-Range"] = f"bytes {first}-{last}/{size}"
    response["ETag"] = etag
    response["Accept-Ranges"] = "bytes"
    # May be kept, by the reader alone, and must be asked for again: who may see it can change.
    response["Cache-Control"] = "private, no-cache"
    return response


def asked_range(header: str, size: int) -> tuple[int, int] | None:
    """(first, last) of the one range asked for; None for the whole. Raises RangeNotSatisfiable."""
    found = _RANGE.fullmatch(header.strip().replace(" ", ""))
    if not found or found[0] == "bytes=-":
        return None  # not understood, or several: as if there were none
    begin, end = found.groups()
    if not begin:  # the last so many bytes
        if not int(end) or not size:
            raise RangeNotSatisfiable
        return max(0, size - int(end)), size - 1
    if end and int(end) < int(begin):
        return None  # not valid, so to be ignored
    if int(begin) >= size:
        raise RangeNotSatisfiable
    return int(begin), min(int(end), size - 1) if end else size - 1


def _part(request: HttpRequest, size: int, etag: str) -> tuple[int, int, int]:
    """First byte, last byte, status."""
    header, condition = request.headers.get("Range", ""), request.headers.get("If-Range", "")
    # If-Range: only if the file is still the one of which the reader has the beginning.
    found = asked_range(header, size) if header and (not condition or condition.strip() == etag) else None
    return (*found, 206) if found else (0, size - 1, 200)


def _has_it(request: HttpRequest, etag: str) -> bool:
    known = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in known or etag in (each.removeprefix("W/") for each in known)


def _content(
    request: HttpRequest, path: Path, first: int, last: int, status: int, content_type: str
) -> HttpResponseBase:
    length = last - first + 1
    if request.method == "HEAD":
        response: HttpResponseBase = HttpResponse(status=status, content_type=content_type)
    else:
        file = path.open("rb")  # here, so that a file that is gone is an error now and not amid the answer
        response = StreamingHttpResponse(_Pieces(file, first, length), status=status, content_type=content_type)
    response["Content-Length"] = str(length)
    return response


class _Pieces:
    """A part of an open file, piece by piece. The file is closed behind the last one, or with the response."""

    def __init__(self, file: IO[bytes], first: int, length: int) -> None:
        self._file, self._left = file, length
        file.seek(first)

    def __iter__(self) -> Iterator[bytes]:
        with self._file:
            while self._left and (piece := self._file.read(min(CHUNK, self._left))):
                self._left -= len(piece)
                yield piece

    def close(self) -> None:
        self._file.close()
