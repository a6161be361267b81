"""`sampling.engine.jobs` with an engine that is no vLLM and no tokenizer to load: the same program, protocol and files.

    python -m tests.sampling.engine.fake_engine

It notes what it does in engine.txt beside the run directories, a line each: "start NAME LENGTH", "close NAME". A
policy named "deadly" kills the process while it samples. There is room for two models unless no_room.txt lies there.
No policy has to exist.
"""

import os
import signal
from pathlib import Path

from sampling.engine import generate, jobs, local
from sampling.engine.requests import Completion

NOTES = "engine.txt"
NO_ROOM = "no_room.txt"


class FakeTokenizer:
    """A token for each message."""

    def apply_chat_template(self, messages, **_):
        return {"input_ids": list(range(len(messages)))}


class FakeEngine:
    """Says which policy it is, and which completion this is."""

    def __init__(self, model: str) -> None:
        self.model = Path(model)

    @classmethod
    def start(cls, model: str, *, max_model_len: int) -> "FakeEngine":
        engine = cls(model)
        local._there_is_room = lambda: not (engine.model.parent / NO_ROOM).exists()
        engine.note(f"start {engine.model.name} {max_model_len}")
        return engine

    def complete(self, settings, requests):
        if self.model.name == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        for each in requests:
            text = f"{self.model.name} {each.prompt_id} {each.index} " + "so " * each.index
            yield Completion(each.prompt_id, each.index, text, 4, "stop")

    def close(self) -> None:
        self.note(f"close {self.model.name}")

    def note(self, line: str) -> None:
        with (self.model.parent / NOTES).open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    generate._load_tokenizer = lambda model: FakeTokenizer()
    jobs.main(FakeEngine.start)
