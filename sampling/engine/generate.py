"""Writes n completions of every prompt with vLLM: `python -m sampling.engine.generate --run-dir DIR`.

In `DIR`, `stage.json` names the policy and the sampling parameters and `prompts.jsonl` holds the prompts;
each completion is appended to `completions.jsonl` as soon as it ends. Started again, it samples only what
is missing, with the seeds that it would have had. A prompt that does not fit is reported in
`skipped.jsonl`, with the reason.

vLLM runs in this process, or, when `urls` names running `vllm serve` endpoints, there. Prompts go to it as
token ids from the policy's own chat template: a rendered text would get a second beginning-of-text token.
Each completion is a request of its own: vLLM splits a request for n completions into exactly these anyway
(seed + index, a shared prompt found by prefix caching), and so each is kept the moment it ends.

No database here, and no opinion about which completion is better.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sampling.engine import openmp
from sampling.engine import run_dir as files
from sampling.engine.local import Engines, leave
from sampling.engine.requests import Completion, Request, Settings, seed_of
from sampling.engine.run_dir import Progress, RunDirError

MODULE = "sampling.engine.generate"
COMPLETIONS = "completions.jsonl"
SKIPPED = "skipped.jsonl"


@dataclass(frozen=True)
class Result:
    """`result.json`. `seconds` leave out the engine's start, which is 0 where one ran already; the tokens are those of
    the new completions.
    """

    completions: int
    new_completions: int
    skipped: int
    output_tokens: int
    seconds: float
    tokens_per_second: float
    engine_start_seconds: float


Backend = Callable[[Settings, list[Request]], Iterator[Completion]]


def run(run_dir: Path | str, *, engines: Engines | None = None) -> Result:
    """Sample everything that is missing in `run_dir`.

    With `engines`, an engine that runs already is used where it suits, and the one that is used goes on running;
    without, its memory is free again when this process ends.
    """
    run_dir = Path(run_dir)
    settings = Settings.read(run_dir)
    progress = Progress(run_dir, unit="completions")
    progress.update(phase="reading the prompts")
    prompts = read_prompts(run_dir / settings.prompts)
    files.cut_torn_line(run_dir / COMPLETIONS)
    done = _done(run_dir / COMPLETIONS, {prompt["id"] for prompt in prompts}, settings.n)
    requests, skipped = _missing(settings, prompts, done)
    _write_skipped(run_dir / SKIPPED, skipped)
    total = len(done) + len(requests)
    progress.update(len(done), total=total)
    if not requests:
        return Result(len(done), 0, len(skipped), 0, 0.0, 0.0, 0.0)

    progress.update(phase="starting the engine")
    started = time.monotonic()
    backend = _open_backend(settings, engines or Engines())
    engine_start_seconds = time.monotonic() - started

    progress.update(phase="sampling")
    started, new, output_tokens = time.monotonic(), 0, 0
    # Bytes straight to the file, a line at once: a kill can tear the last line only, and loses nothing
    # before it.
    with (run_dir / COMPLETIONS).open("ab", buffering=0) as file:
        for completion in backend(settings, requests):
            _write_line(file, asdict(completion))
            new += 1
            output_tokens += completion.tokens
            progress.update(len(done) + new)
        os.fsync(file.fileno())
    seconds = time.monotonic() - started
    if new < len(requests):
        raise RunDirError(
            f"{len(requests) - new} of {total} completions are missing: vLLM gave up on them. Start it again "
            "to sample only those; output.log says more."
        )
    rate = output_tokens / seconds
    return Result(
        total,
        new,
        len(skipped),
        output_tokens,
        round(seconds, 2),
        round(rate, 1),
        round(engine_start_seconds, 2),
    )


# --- what there is, and what is missing -------------------------------------------------------------------


def read_prompts(path: Path) -> list[dict[str, Any]]:
    """Read `{"id", "messages"}` a line; `RunDirError` names the line that is wrong, or whose id comes
    twice.
    """
    prompts, seen = [], set()
    for number, prompt in enumerate(files.read_json_lines(path), start=1):
        messages = prompt.get("messages") if isinstance(prompt, dict) else None
        if not isinstance(messages, list) or not messages or not isinstance(prompt.get("id"), str):
            raise RunDirError(f'{path}, line {number}: a prompt is {{"id": text, "messages": [...]}}. Mend the line.')
        if prompt["id"] in seen:
            raise RunDirError(f'{path}, line {number}: the id "{prompt["id"]}" comes twice. Give each prompt its own.')
        seen.add(prompt["id"])
        prompts.append(prompt)
    if not prompts:
        raise RunDirError(f"{path} holds no prompt. Write at least one line into it.")
    return prompts


def _done(path: Path, prompt_ids: set[str], n: int) -> set[tuple[str, int]]:
    done = {(row["prompt_id"], row["index"]) for row in files.read_json_lines(path)}
    return {(prompt_id, index) for prompt_id, index in done if prompt_id in prompt_ids and index < n}


def _missing(
    settings: Settings, prompts: list[dict[str, Any]], done: set[tuple[str, int]]
) -> tuple[list[Request], list[dict[str, str]]]:
    """Return a request for each missing completion, and a row for each prompt that can have none."""
    requests: list[Request] = []
    skipped: list[dict[str, str]] = []
    missing = {
        prompt["id"]: [index for index in range(settings.n) if (prompt["id"], index) not in done] for prompt in prompts
    }
    if not any(missing.values()):
        return requests, skipped  # without the seconds that it takes to import a tokenizer
    tokenizer = _load_tokenizer(settings.model)
    limit = settings.max_model_len - settings.max_tokens
    for prompt in prompts:
        if not missing[prompt["id"]]:
            continue
        token_ids, reason = _token_ids(tokenizer, prompt["messages"])
        if len(token_ids) > limit:
            reason = (
                f"The prompt is {len(token_ids)} tokens long; {limit} fit beside a completion of "
                f"{settings.max_tokens} tokens."
            )
        if reason:
            skipped.append({"prompt_id": prompt["id"], "reason": reason})
            continue
        for index in missing[prompt["id"]]:
            seed = seed_of(settings.seed, prompt["id"], index)
            requests.append(Request(prompt["id"], index, token_ids, seed))
    return requests, skipped


def _token_ids(tokenizer: Any, messages: list[dict[str, str]]) -> tuple[list[int], str]:
    """Return the prompt as the policy reads it; or nothing, and why its chat template refuses it."""
    from jinja2 import TemplateError

    try:
        encoded = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
    except TemplateError as error:  # some templates want turns to alternate, or know no system message
        return [], f"The model's chat template refuses the prompt: {error}"
    return encoded["input_ids"], ""


@lru_cache(maxsize=4)  # a policy's directory is written once, and a process samples it run after run
def _load_tokenizer(model: str) -> Any:
    _keep_private(model)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    if not tokenizer.chat_template:
        raise RunDirError(
            f"{model} has no chat template, so it cannot be asked anything. Choose an instruction-tuned "
            "model, or save its tokenizer with a chat template."
        )
    return tokenizer


def _write_skipped(path: Path, skipped: list[dict[str, str]]) -> None:
    # Anew each time: with a longer max_model_len, a prompt that was skipped before may fit.
    with path.open("wb", buffering=0) as file:
        for row in skipped:
            _write_line(file, row)


def _write_line(file: Any, row: dict[str, Any]) -> None:
    line = memoryview(json.dumps(row).encode() + b"\n")
    while line:  # a raw write may take only a part, for example of what fits on a disk that is nearly full
        line = line[file.write(line) :]


# --- where the completions come from ----------------------------------------------------------------------


def _open_backend(settings: Settings, engines: Engines) -> Backend:
    if settings.urls:
        from sampling.engine.endpoints import Endpoints

        return Endpoints.connect(settings.urls, settings.model, served_as=settings.served_as).complete
    return engines.get(settings.model, max_model_len=settings.max_model_len).complete


def _keep_private(model: str) -> None:
    """Nothing is reported to anybody, and a model that is a directory needs no hub."""
    os.environ |= {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    if Path(model).is_dir():
        os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    elif model.startswith(("/", ".", "~")):
        raise RunDirError(f"The model's directory {model} does not exist. Check the path, or train or fetch it first.")


if __name__ == "__main__":
    openmp.restart_with_it(MODULE)
    files.main(run)
    leave()
