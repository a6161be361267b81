"""Takes completions from the file that a program appends to into the database, each exactly once.

The file may be read from its start again at any time (a retry, a lost worker, a database that was away): the
constraint `one_completion_per_run_model_prompt_and_index` drops what is there already.
"""

import json
from pathlib import Path
from typing import Any

from sampling.engine.run_dir import RunDirError
from sampling.models import Completion, ModelVersion, SamplingRun

BATCH_LINES = 500


class CompletionIntake:
    """Follows the completions file of one policy of one run."""

    def __init__(self, *, run: SamplingRun, policy: ModelVersion, path: Path) -> None:
        self.run = run
        self.policy = policy
        self.path = path
        self.lines = 0  # whole lines taken so far: each is one completion
        self._offset = 0

    def take_new(self) -> int:
        """Store the whole lines written since the last call; return how many lines were taken so far in all."""
        if not self.path.exists():
            return self.lines
        with self.path.open("rb") as file:
            file.seek(self._offset)
            while batch := _whole_lines(file):
                rows = [self._row(raw, self.lines + place) for place, raw in enumerate(batch, start=1)]
                Completion.objects.bulk_create(rows, ignore_conflicts=True)
                # Only now: when the database refuses, the next call takes these lines again.
                self._offset += sum(map(len, batch))
                self.lines += len(batch)
                if len(batch) < BATCH_LINES:
                    break  # the file stands inside a line that may be whole by now: reading on would give its rest
        return self.lines

    def _row(self, raw: bytes, line: int) -> Completion:
        try:
            row: dict[str, Any] = json.loads(raw)
            return Completion(
                run=self.run,
                model_version=self.policy,
                prompt_id=int(row["prompt_id"]),
                index=row["index"],
                text=_storable(row["text"]),
                tokens=row["tokens"],
                finish_reason=str(row["finish_reason"])[:20],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise RunDirError(
                f"{self.path}, line {line} is not a completion ({type(error).__name__}: {error}). Remove the line and "
                "what follows it, then retry: those completions are sampled again."
            ) from None


def _whole_lines(file: Any) -> list[bytes]:
    """Up to BATCH_LINES lines; a last one without its line end is still being written, and left for later."""
    batch: list[bytes] = []
    while len(batch) < BATCH_LINES and (raw := file.readline()).endswith(b"\n"):
        batch.append(raw)
    return batch


def _storable(text: str) -> str:
    """A model can write a NUL or half a surrogate pair; PostgreSQL's text can hold neither."""
    replaced = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return replaced.encode("utf-8", "replace").decode()
