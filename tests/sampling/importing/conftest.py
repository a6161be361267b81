"""Small files to import, and an import of them."""

import json
from pathlib import Path

import pytest

from sampling.importing import actions
from sampling.importing.options import Options
from sampling.models import DataImport


@pytest.fixture
def jsonl(tmp_path):
    """``jsonl({"prompt": "one"}, "{")`` writes these lines to a file and returns its path."""

    def write(*rows: dict | str | bytes, name: str = "a.jsonl") -> Path:
        path = tmp_path / name
        lines = [row if isinstance(row, str | bytes) else json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
        return path

    return write


@pytest.fixture
def brought_in(db):
    """``brought_in(path)`` imports the file's prompts here and now."""

    def run(path: Path, *, what: str = "prompts", into: str = "everyday", more: dict | None = None, **options):
        return actions.import_now(
            what=what, prompt_set_name=into, location=str(path), options=Options(**options), **(more or {})
        )

    return run


@pytest.fixture
def looked_at(db):
    """``looked_at(path)`` looks through it, as a worker does."""

    def run(path: Path, *, what: str = "prompts", into: str = "everyday", **options) -> DataImport:
        data_import = actions.create_import(
            what=what, prompt_set_name=into, location=str(path), options=Options(**options), enqueue=False
        )
        return actions.execute(data_import=data_import)

    return run
