"""What belongs to one installation: its first administrator, and by which names it is reached."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured


def listed(value: str) -> list[str]:
    """ "a, b" -> ["a", "b"], as the variables of the environment write lists."""
    return [part.strip() for part in value.split(",") if part.strip()]


def trusted_origins(value: str, hosts: Sequence[str], https_only: bool) -> list[str]:
    """Whose forms are taken: what is named, else behind a proxy with TLS each allowed host over https."""
    if named := listed(value):
        return named
    if not https_only:
        return []
    # ".example.org" allows each name below it, which an origin writes with a star; a star alone names nobody.
    return [f"https://{'*' if host.startswith('.') else ''}{host}" for host in hosts if host != "*"]


def training_processes(value: str) -> int:
    """How many processes, and with a GPU each how many GPUs, train one stage."""
    if not value.isdecimal() or int(value) < 1:
        raise ImproperlyConfigured(
            f'WHETSTONE_TRAINING_PROCESSES is "{value}"; it must be the number of GPUs that a training stage uses, '
            "such as 1 or 4. Change it, or unset it for one."
        )
    return int(value)


@dataclass(frozen=True)
class SignIn:
    """A new administrator; ``password`` is None when it came from the environment, and so is known."""

    username: str
    password: str | None


def first_administrator(environment: dict[str, str]) -> SignIn | None:
    """Make an administrator when there is none yet; None when there is.

    WHETSTONE_ADMIN_USER and WHETSTONE_ADMIN_PASSWORD name the sign-in; without a password one is generated.
    """
    # Here, for the rest of this module is needed before Django is set up.
    from django.contrib.auth import get_user_model

    users = get_user_model().objects
    if users.filter(is_superuser=True, is_active=True).exists():
        return None
    username = environment.get("WHETSTONE_ADMIN_USER") or "admin"
    given = environment.get("WHETSTONE_ADMIN_PASSWORD")
    password = given or secrets.token_urlsafe(12)
    user, _ = users.get_or_create(username=username)
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()
    return SignIn(username=username, password=None if given else password)
