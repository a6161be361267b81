"""Programs that use the API: their tokens, and the requests that must not be carried out twice."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class Scope(models.TextChoices):
    """What a token may do, within what its user may do."""

    READ = "read", "look at everything that you may see"
    ANNOTATE = "annotate", "take comparisons and submit judgments"
    IMPORT = "import", "bring data in: prompts, completions, judgments"
    EXPORT = "export", "freeze snapshots, export and download them"
    MANAGE = "manage", "change projects, members and comparisons"
    TRAIN = "train", "register models, sample completions, launch rounds"
    WEBHOOKS = "webhooks", "change webhooks"


class ApiTokenQuerySet(models.QuerySet):
    def live(self):
        """Neither revoked nor run out."""
        return self.filter(revoked_at__isnull=True, expires_at__gt=Now(), user__is_active=True)


class ApiToken(models.Model):
    """A program's key. Only its hash is kept: it is shown once."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=120, help_text="What it is for.")
    beginning = models.CharField(max_length=16, help_text="Its first characters, to tell it from others.")
    token_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token.")
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope))
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name


class IdempotentRequest(models.Model):
    """A request that came with an Idempotency-Key, and its answer, which a repetition gets again."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64, help_text="SHA-256 of method, address and body.")
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Empty while it is carried out.")
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="one_request_per_user_and_idempotency_key"),
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotent_requests_by_age")]
