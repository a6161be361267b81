"""A round's real programs, run inside the test's process: what they compute without what starting them costs.

vLLM's place is taken by a tiny model's own sampling, in the engine's format. How programs are started, followed and
killed has tests of its own.
"""

import importlib
import inspect
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sampling import processes
from sampling.engine import run_dir as files


def run_program(*, task, argv, run_dir: Path, on_tick=None, **_) -> processes.Finished | processes.Failed:
    """Stands in for sampling.program_runs.run_program."""
    program = importlib.import_module(argv[argv.index("--run-dir") - 1])
    files.clear_attempt(run_dir)
    more = {"generate": generate} if "generate" in inspect.signature(program.run).parameters else {}
    try:
        result = program.run(run_dir, **more)
    except files.RunDirError as error:
        return processes.Failed(str(error))
    files.write_result(run_dir, result)
    if on_tick:
        on_tick(files.read_progress(run_dir) or {})
    return processes.Finished(files.read_result(run_dir))


def generate(run_dir: Path, *, on_progress=lambda seen: None) -> dict[str, Any]:
    """Stands in for a sampling.engine.child.EngineChild."""
    told = files.read_stage(run_dir)
    prompts = [json.loads(line) for line in (run_dir / told["prompts"]).read_text().splitlines()]
    rows = [row for number, prompt in enumerate(prompts) for row in _completions(told, prompt, number)]
    (run_dir / "completions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    on_progress({"done": len(rows), "total": len(rows), "unit": "completions", "phase": "sampling"})
    result = {"completions": len(rows), "new_completions": len(rows)}
    files.write_result(run_dir, result)
    return result


def _completions(told: dict[str, Any], prompt: dict[str, Any], number: int) -> list[dict[str, Any]]:
    tokenizer, model = _model(told["model"])
    ids = tokenizer.apply_chat_template(prompt["messages"], add_generation_prompt=True, return_dict=False)
    with torch.random.fork_rng():
        torch.manual_seed(told["seed"] * 1000 + number)
        written = model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            do_sample=True,
            temperature=told["temperature"],
            top_k=0,
            num_return_sequences=told["n"],
            max_new_tokens=told["max_tokens"],
            pad_token_id=tokenizer.pad_token_id,
        )
    rows = []
    for index, each in enumerate(written[:, len(ids) :].tolist()):
        ended = tokenizer.eos_token_id in each
        kept = each[: each.index(tokenizer.eos_token_id)] if ended else each
        text = tokenizer.decode(kept, skip_special_tokens=True).replace("\x00", "")  # which no database keeps
        reason = "stop" if ended else "length"
        rows.append(
            {"prompt_id": prompt["id"], "index": index, "text": text, "tokens": len(kept), "finish_reason": reason}
        )
    return rows


@lru_cache(maxsize=4)
def _model(path: str):
    return AutoTokenizer.from_pretrained(path), AutoModelForCausalLM.from_pretrained(path).eval()
