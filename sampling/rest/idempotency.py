"""``Idempotency-Key``: a request that is sent again is carried out once and answered twice.

After the IETF draft "The Idempotency-Key HTTP Header Field": the same key with another request is refused (422), one
that is still being carried out conflicts (409). An answer is kept for a day; one of 5xx is not, so that it can be tried
again.
"""

import hashlib
import json
from datetime import timedelta
from http import HTTPStatus

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from sampling.models import IdempotentRequest
from sampling.rest.problems import MEDIA_TYPE, Conflict

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
KEPT_FOR = timedelta(days=1)
LOST_AFTER = timedelta(minutes=5)  # longer than any request takes: whoever carried it out is gone
MAX_KEPT_BYTES = 1_000_000
REPLAYED = "Idempotent-Replayed"
KEPT_HEADERS = ("Location",)


class KeyReused(exceptions.APIException):
    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "idempotency_key_reused"
    default_detail = "This Idempotency-Key came with another request before. Use a new key for a new request."


class Replayed(Exception):
    """Not an error: the answer is there already."""

    def __init__(self, kept: IdempotentRequest) -> None:
        super().__init__(kept.key)
        content = json.loads(kept.body) if kept.body else None
        problem = {"content_type": MEDIA_TYPE} if kept.status >= HTTPStatus.BAD_REQUEST else {}
        self.response = Response(content, status=kept.status, headers={**kept.headers, REPLAYED: "true"}, **problem)


def begin(request: Request) -> IdempotentRequest | None:
    """Note that this request is being carried out. Raises Replayed, Conflict or KeyReused; None without a key."""
    key = request.headers.get(HEADER, "")
    if not key or request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    if len(key) > MAX_LENGTH or not key.isprintable():
        raise exceptions.ValidationError({HEADER: [f"At most {MAX_LENGTH} printable characters."]})
    noted = IdempotentRequest(user=request.user, key=key, request_hash=_hash_of(request))
    try:
        with transaction.atomic():
            noted.save()
    except IntegrityError:
        return _met(noted)
    return noted


def end(noted: IdempotentRequest, response: Response) -> None:
    """Keep the answer; forget a request that failed by our fault, or whose answer is too long to keep."""
    rows = IdempotentRequest.objects.filter(pk=noted.pk)
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or response.streaming:
        rows.delete()
        return
    body = response.rendered_content if response.data is not None else b""
    if len(body) > MAX_KEPT_BYTES:
        rows.delete()
        return
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    rows.update(status=response.status_code, headers=headers, body=bytes(body).decode())


def forget_old() -> int:
    """For the periodic task."""
    return IdempotentRequest.objects.filter(created_at__lt=Now() - KEPT_FOR).delete()[0]


def _met(noted: IdempotentRequest) -> IdempotentRequest:
    there = IdempotentRequest.objects.filter(user=noted.user, key=noted.key)
    kept = there.first()
    if kept is None:
        raise Conflict("The same request was just being carried out. Send it again.")
    if kept.request_hash != noted.request_hash:
        raise KeyReused
    if kept.status is not None:
        raise Replayed(kept)
    # Whoever carried it out may have died: then one of those who ask takes it over.
    if there.filter(status__isnull=True, created_at__lt=Now() - LOST_AFTER).update(created_at=Now()):
        return kept
    raise Conflict("The same request is being carried out. Ask again in a moment.")


def _hash_of(request: Request) -> str:
    raw = request._request
    digest = hashlib.sha256(b"\n".join([raw.method.encode(), raw.get_full_path().encode(), b""]))
    if not (raw.content_type or "").startswith("multipart/"):
        digest.update(raw.body)
        return digest.hexdigest()
    for name, value in sorted(request.data.items()):  # parsed once, and kept for the view
        digest.update(repr(name).encode())
        if not isinstance(value, UploadedFile):
            digest.update(repr(value).encode())
            continue
        for piece in value.chunks():
            digest.update(piece)
        value.seek(0)
    return digest.hexdigest()
