"""What belongs to one installation and is made at its first start: the secret key and the first administrator."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path


def kept_secret(path: Path) -> str:
    """The secret in ``path``; made there, readable by its owner only, when there is none yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written elsewhere and linked: two processes that start together must not make two keys, and neither may read
    # half of one.
    written = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    if not path.exists():
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
        try:
            os.link(written, path)
        except FileExistsError:
            pass
        finally:
            written.unlink()
    return path.read_text().strip()


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
