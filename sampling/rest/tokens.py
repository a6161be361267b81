"""A program's tokens: made, shown once, kept as a hash, looked up, revoked."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from sampling.models import ApiToken, Scope

PREFIX = "wst_"  # by it a leaked token is recognised, by people and by scanners
SECRET_BYTES = 32
SHOWN = len(PREFIX) + 6  # characters of it that lists may show
MAX_DAYS = 365
USE_NOTED_EVERY = timedelta(minutes=1)  # not worth a write for each request


def create_token(*, user: AbstractBaseUser, name: str, scopes: Iterable[str], days: int = 90) -> tuple[ApiToken, str]:
    """A new token and its text, which nobody can read again. Raises ValidationError by field."""
    asked = set(scopes)
    if unknown := sorted(asked - set(Scope.values)):
        raise ValidationError({"scopes": f'There is no scope "{unknown[0]}". Choose from: {", ".join(Scope.values)}.'})
    if not asked:
        raise ValidationError({"scopes": "Choose at least one scope: a token without any can do nothing."})
    if not 1 <= days <= MAX_DAYS:
        raise ValidationError({"days": f"A token lives 1 to {MAX_DAYS} days; then a new one takes its place."})
    text = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    token = ApiToken(
        user=user,
        name=name.strip(),
        beginning=text[:SHOWN],
        token_hash=hash_of(text),
        scopes=[scope for scope in Scope.values if scope in asked],
        expires_at=timezone.now() + timedelta(days=days),
    )
    token.full_clean()
    token.save()
    return token, text


def revoke_token(*, token: ApiToken) -> None:
    """From now on it opens nothing. Revoking it again changes nothing."""
    ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=Now())


def live_token(text: str) -> ApiToken | None:
    """The token that this is the text of, with its user; None for any other, a revoked one or one that ran out."""
    found = ApiToken.objects.live().select_related("user").filter(token_hash=hash_of(text)).first()
    if found:
        unnoted = Q(last_used_at__isnull=True) | Q(last_used_at__lt=Now() - USE_NOTED_EVERY)
        ApiToken.objects.filter(unnoted, pk=found.pk).update(last_used_at=Now())
    return found


def hash_of(text: str) -> str:
    """SHA-256: a token has 256 random bits, so a slow hash for guessable passwords would add nothing."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
