"""Who is told of what happens here, and each telling: an outbox, written in the transaction that it tells of."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.urls import reverse


class Event(models.TextChoices):
    COMPARISON_COMPLETED = "comparison.completed", "comparison completed"
    SNAPSHOT_FROZEN = "snapshot.frozen", "snapshot frozen"
    ROUND_FINISHED = "round.finished", "round finished"
    POLICY_PUBLISHED = "policy.published", "policy published"
    PING = "ping", "ping"  # on demand, to try it out


class Webhook(models.Model):
    """An address that is told of these events, by a signed POST."""

    url = models.URLField(max_length=500)
    events = ArrayField(models.CharField(max_length=40, choices=Event))
    # Kept readable, unlike a token: each delivery is signed with it.
    secret = models.CharField(max_length=100, help_text="whsec_ and base64, as Standard Webhooks has it.")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.url

    def get_absolute_url(self) -> str:
        return reverse("sampling:webhook", args=[self.pk])


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "waiting"
    DELIVERED = "delivered", "delivered"
    FAILED = "failed", "given up"


class Delivery(models.Model):
    """One event for one webhook, tried until it arrives or there is no hope."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # the webhook-id header
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=40, choices=Event)
    payload = models.JSONField()
    state = models.CharField(max_length=9, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    last_status = models.PositiveSmallIntegerField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=models.Q(state="waiting"), name="waiting_deliveries_by_time"
            ),
        ]
