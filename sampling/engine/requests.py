"""What one run asks of vLLM, and what it gets back: values only, checked as they are read."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sampling.engine import run_dir as files
from sampling.engine.run_dir import RunDirError


@dataclass(frozen=True)
class Settings:
    """`stage.json`, checked. The fields that have a value here may be left out there."""

    model: str  # a directory or a hub id
    prompts: str  # a file's name, relative to the run directory
    n: int
    seed: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    max_model_len: int = 2048  # prompt and completion together
    urls: tuple[str, ...] = ()
    served_as: str = ""  # the policy's own name, by which an endpoint may know it

    @classmethod
    def read(cls, run_dir: Path) -> "Settings":
        """Read and check them, or raise `RunDirError` naming the first that is wrong."""
        stage = files.read_stage(run_dir)
        unknown = sorted(set(stage) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise RunDirError(f'stage.json has an unknown key "{unknown[0]}". The keys are: {known}.')
        missing = [name for name in ("model", "prompts", "n") if name not in stage]
        if missing:
            raise RunDirError(f'stage.json lacks "{missing[0]}". Add it.')
        settings = cls(**(stage | {"urls": tuple(stage.get("urls") or ())}))
        settings._check()
        return settings

    def _check(self) -> None:
        whole = {"n": 1, "seed": 0, "max_tokens": 1, "max_model_len": 2}
        for name, least in whole.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise RunDirError(f"stage.json: {name} is {value!r}; it must be a whole number, at least {least}.")
        if self.max_tokens >= self.max_model_len:
            raise RunDirError(
                f"stage.json: max_tokens is {self.max_tokens} of a max_model_len of {self.max_model_len}, "
                "which leaves no room for a prompt. Lower the one or raise the other."
            )
        if not 0 <= self.temperature <= 2 or not 0 < self.top_p <= 1:
            raise RunDirError(
                f"stage.json: temperature is {self.temperature} and top_p {self.top_p}; the first must be "
                "from 0 to 2, the second above 0 and at most 1."
            )


@dataclass(frozen=True)
class Request:
    """One missing completion."""

    prompt_id: str
    index: int
    token_ids: list[int]
    seed: int


@dataclass(frozen=True)
class Completion:
    """One line of `completions.jsonl`."""

    prompt_id: str
    index: int
    text: str
    tokens: int
    finish_reason: str  # "stop" or "length"


def seed_of(seed: int, prompt_id: str, index: int) -> int:
    """The seed of one completion: the same whenever, and with whatever else, it is sampled."""
    digest = hashlib.sha256(f"{seed}:{prompt_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") + index  # 48 bits: vLLM takes 63
