"""Everything that changes webhooks."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models.functions import Now
from django.utils import timezone

from sampling.models import Delivery, DeliveryState, Event, Webhook
from sampling.webhooks.emitting import tell_workers
from sampling.webhooks.signing import new_secret

ON_DEMAND = {Event.PING}


def subscribable() -> list[Event]:
    return [event for event in Event if event not in ON_DEMAND]


def create_webhook(*, url: str, events: Iterable[str], created_by: Any = None) -> Webhook:
    """Raises ValidationError by field."""
    webhook = Webhook(url=url, secret=new_secret(), created_by=created_by, events=_checked(events))
    _check_address(url)
    webhook.full_clean()
    webhook.save()
    return webhook


def change_webhook(
    *, webhook: Webhook, url: str | None = None, events: Iterable[str] | None = None, is_active: bool | None = None
) -> Webhook:
    """What is None stays. Switched on again, it gets what waited. Raises ValidationError by field."""
    if url is not None:
        _check_address(url)
        webhook.url = url
    if events is not None:
        webhook.events = _checked(events)
    if is_active is not None:
        webhook.is_active = is_active
    webhook.full_clean()
    webhook.save()
    return webhook


def delete_webhook(*, webhook: Webhook) -> None:
    """With all that waited for it."""
    webhook.delete()


def ping(*, webhook: Webhook) -> Delivery:
    """A delivery that says nothing but hello, to see whether it arrives."""
    now = timezone.now()
    payload = {"type": Event.PING.value, "timestamp": now.isoformat(), "data": {"webhook": webhook.pk}}
    delivery = Delivery.objects.create(webhook=webhook, event=Event.PING, payload=payload, next_attempt_at=now)
    tell_workers()
    return delivery


def deliver_again(*, delivery: Delivery) -> None:
    """Try one at once that waits or was given up; one that arrived is sent once more, under the same id."""
    Delivery.objects.filter(pk=delivery.pk).update(
        state=DeliveryState.WAITING, next_attempt_at=Now(), attempts=0, delivered_at=None
    )
    tell_workers()


def _checked(events: Iterable[str]) -> list[str]:
    asked, there = set(events), [event.value for event in subscribable()]
    if unknown := sorted(asked - set(there)):
        raise ValidationError({"events": f'There is no event "{unknown[0]}". Choose from: {", ".join(there)}.'})
    if not asked:
        raise ValidationError({"events": "Choose at least one event."})
    return [event for event in there if event in asked]


def _check_address(url: str) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValidationError({"url": "The address must begin with https:// or http://."})
