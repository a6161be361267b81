"""Sends what is in the outbox: each delivery until it is answered with 2xx, or until there is no hope.

A delivery is claimed by moving its next attempt into the future, so a worker that dies in the middle costs one attempt
and nothing else; a receiver may therefore get one twice, under the same webhook-id.
"""

import json
import logging
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus

import httpx
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from sampling.models import Delivery, DeliveryState, Webhook
from sampling.webhooks import addresses
from sampling.webhooks.signing import signed_headers

TIMEOUT_SECONDS = 10.0
DEADLINE_SECONDS = 15.0  # for the whole of an attempt
LOCK = 7310  # of an advisory lock: one worker delivers at a time
CLAIM = timedelta(minutes=1)  # longer than an attempt takes
# Before the second attempt, the third ...: about two days in all, as Standard Webhooks advises.
PAUSES = tuple(
    timedelta(seconds=seconds) for seconds in (5, 30, 300, 1800, 7200, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600)
)
AT_ONCE_SECONDS = 30.0  # then the next call of the task goes on: others wait for this worker too
KEPT_FOR = timedelta(days=30)

log = logging.getLogger(__name__)


def deliver_due(transport: httpx.BaseTransport | None = None) -> int:
    """Attempt what is due, one after the other; return how many attempts there were.

    One worker at a time does this, and a webhook that did not take one is left alone until the next time: receivers
    that never answer must not hold all the workers, nor keep the others' deliveries back.
    """
    attempts, until = 0, time.monotonic() + AT_ONCE_SECONDS
    unwilling: set[int] = set()
    with _alone() as is_alone:
        while is_alone and time.monotonic() < until and (delivery := _claimed(unwilling)):
            if not _attempt(delivery, transport):
                unwilling.add(delivery.webhook_id)
            attempts += 1
    return attempts


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether no other worker delivers just now. The lock goes with the connection, also when this process dies."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, 0)", [LOCK])
        is_alone = cursor.fetchone()[0]
        try:
            yield is_alone
        finally:
            if is_alone:
                cursor.execute("SELECT pg_advisory_unlock(%s, 0)", [LOCK])


def forget_old() -> int:
    """Deliveries of long ago, for the periodic task."""
    ended = Delivery.objects.exclude(state=DeliveryState.WAITING)
    return ended.filter(created_at__lt=Now() - KEPT_FOR).delete()[0]


def _claimed(unwilling: Collection[int] = ()) -> Delivery | None:
    waiting = Delivery.objects.filter(state=DeliveryState.WAITING, webhook__is_active=True)
    due = waiting.filter(next_attempt_at__lte=Now()).exclude(webhook__in=unwilling)
    with transaction.atomic():
        found = due.select_for_update(skip_locked=True, of=["self"]).order_by("next_attempt_at").first()
        if found is None:
            return None
        Delivery.objects.filter(pk=found.pk).update(next_attempt_at=Now() + CLAIM, attempts=F("attempts") + 1)
    return Delivery.objects.select_related("webhook").get(pk=found.pk)


def _attempt(delivery: Delivery, transport: httpx.BaseTransport | None) -> bool:
    """Whether it was taken."""
    body = json.dumps(delivery.payload, ensure_ascii=False, separators=(",", ":")).encode()
    headers = signed_headers(
        secret=delivery.webhook.secret, message_id=str(delivery.pk), at=timezone.now(), body=body
    ) | {"content-type": "application/json", "user-agent": "Whetstone"}
    status, error = None, ""
    # Redirects are not followed: the body goes to the address that was given, or nowhere.
    http = httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, transport=transport)
    # httpx's time runs anew with each byte that arrives; this one does not.
    deadline = threading.Timer(DEADLINE_SECONDS, http.close)
    deadline.start()
    try:
        addresses.check(delivery.webhook.url)
        # Only the status counts: whatever else is answered is neither read nor kept.
        with http.stream("POST", delivery.webhook.url, content=body, headers=headers) as answer:
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError, RuntimeError, ValueError) as failure:
        error = f"{type(failure).__name__}: {failure}"[:500]
    finally:
        deadline.cancel()
        http.close()
    return _note(delivery, status, error)


def _note(delivery: Delivery, status: int | None, error: str) -> bool:
    row = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.WAITING)
    seen = {"last_status": status, "last_error": error}
    is_taken = status is not None and 200 <= status < 300
    if is_taken:
        row.update(state=DeliveryState.DELIVERED, delivered_at=Now(), **seen)
    elif status == HTTPStatus.GONE:  # the receiver wants no more of it
        row.update(state=DeliveryState.FAILED, **seen)
        Webhook.objects.filter(pk=delivery.webhook_id).update(is_active=False)
        log.warning("Webhook %s answered 410 Gone and is switched off.", delivery.webhook.url)
    elif delivery.attempts > len(PAUSES):
        row.update(state=DeliveryState.FAILED, **seen)
    else:
        row.update(next_attempt_at=Now() + PAUSES[delivery.attempts - 1], **seen)
    return is_taken
