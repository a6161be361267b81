"""Secrets that are made once for an installation and kept in its data folder. No Django here: settings use it."""

import os
import secrets
from pathlib import Path


def kept_secret(path: Path, *, length_bytes: int = 50, first: str = "") -> str:
    """The secret in ``path``; made there if there is none, readable by its owner only: ``first``, or by chance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written elsewhere and linked: two processes that start together must not make two keys, and neither may read
    # half of one.
    written = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    if not path.exists():
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(first or secrets.token_urlsafe(length_bytes))
        try:
            os.link(written, path)
        except FileExistsError:
            pass
        finally:
            written.unlink()
    return path.read_text().strip()
