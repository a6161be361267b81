"""Says what happened. The deliveries are written in the transaction that does it: both happen, or neither."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from sampling.models import Event, Webhook

# One statement, and none of the rows it would need when nobody listens: ranking goes through here.
_INSERT = """
    INSERT INTO sampling_delivery (id, webhook_id, event, payload, state, attempts, last_error)
    SELECT gen_random_uuid(), id, %(event)s, %(payload)s::jsonb, 'waiting', 0, ''
    FROM sampling_webhook
    WHERE is_active AND %(event)s = ANY(events)
"""


def emit(
    event: Event, data: Mapping[str, Any], *, only_if: str = "", parameters: Mapping[str, Any] = MappingProxyType({})
) -> int:
    """Put ``data`` into the outbox of every webhook that wants this event; how many there are.

    ``only_if``: an SQL condition with these ``parameters``, asked in the same statement. The workers are told once the
    caller's transaction is through.
    """
    payload = {"type": event.value, "timestamp": timezone.now().isoformat(), "data": data}
    statement = f"{_INSERT} AND ({only_if})" if only_if else _INSERT
    with connection.cursor() as cursor:
        cursor.execute(statement, {**parameters, "event": event.value, "payload": json.dumps(payload)})
        count = cursor.rowcount
    if count:
        tell_workers()
    return count


def is_heard(event: Event) -> bool:
    """Whether anybody wants to know: for whoever must look things up to tell them."""
    return Webhook.objects.filter(is_active=True, events__contains=[event.value]).exists()


def tell_workers() -> None:
    from sampling.tasks import deliver_webhooks  # tasks call this room, so not at the top

    # robust: without a broker the periodic task finds them.
    transaction.on_commit(deliver_webhooks.delay, robust=True)
