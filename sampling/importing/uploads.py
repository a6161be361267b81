"""Files that somebody sends to be imported: kept in the data folder, each in its import's own, until forgetting.py."""

import hashlib
import shutil
import uuid
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from sampling.models import DataImport

COPY_BYTES = 1 << 20


def keep(upload: BinaryIO, data_import: DataImport) -> Path:
    """Write what was uploaded to the data folder, in pieces, and its hash into the row."""
    folder = settings.VAR_DIR / "imports" / f"arriving-{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    digest = hashlib.sha256()
    path = folder / "source"
    try:
        with path.open("wb") as file:
            while piece := upload.read(COPY_BYTES):
                digest.update(piece)
                file.write(piece)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    data_import.source_hash = digest.hexdigest()
    return path


def move(kept: Path, data_import: DataImport) -> None:
    """Into the folder that is named by the import's number, which there is from now on."""
    data_import.folder.parent.mkdir(parents=True, exist_ok=True)
    kept.parent.rename(data_import.folder)
    data_import.location = str(data_import.folder / kept.name)
    data_import.save(update_fields=["location"])


def hash_of(upload: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := upload.read(COPY_BYTES):
        digest.update(piece)
    return digest.hexdigest()
