"""The contenders of `tests.bench.sample`: one engine in a process, told case after case on its standard input.

python -m tests.bench.sample_contenders --name ours --model DIR
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RAW = "raw"
RAW_OUR_SETTINGS = "raw, our settings"
OURS = "ours"
CONTENDERS = (RAW, RAW_OUR_SETTINGS, OURS)
MAX_MODEL_LEN = 1024


@dataclass(frozen=True)
class Case:
    """What is sampled: K completions of each prompt, none of which ends by itself where it is endless."""

    name: str
    k: int
    prompts: tuple[str, ...]
    max_tokens: int
    temperature: float = 1.0
    endless: bool = True

    @property
    def messages(self) -> list[list[dict[str, str]]]:
        """Each prompt as a conversation."""
        return [[{"role": "user", "content": text}] for text in self.prompts]


Work = Callable[[Case], tuple[int, float]]  # the tokens that were written, and the seconds that it took


def raw(model: str, options: dict[str, Any]) -> Work:
    """`LLM.generate`, whose users have rendered their prompts before."""
    from vllm import LLM, SamplingParams

    llm = LLM(**options)
    tokenizer = llm.get_tokenizer()

    def work(case: Case) -> tuple[int, float]:
        prompts = [
            {"prompt_token_ids": tokenizer.apply_chat_template(each, add_generation_prompt=True, return_dict=False)}
            for each in case.messages
        ]
        params = SamplingParams(
            n=case.k, temperature=case.temperature, max_tokens=case.max_tokens, ignore_eos=case.endless
        )
        llm.reset_prefix_cache()
        began = time.perf_counter()
        outputs = llm.generate(prompts, params, use_tqdm=False)
        seconds = time.perf_counter() - began
        return sum(len(each.token_ids) for output in outputs for each in output.outputs), seconds

    return work


def ours(model: str) -> Work:
    """`sampling.engine.generate.run` on an engine that runs already, files and all."""
    from sampling.engine import run_dir as files
    from sampling.engine.generate import run
    from sampling.engine.local import Engines, LocalEngine

    class Endless(LocalEngine):
        """An engine of ours in which no completion has to end: what the product has no use for."""

        is_endless = True

        def params(self, settings: Any, request: Any) -> Any:
            params = super().params(settings, request)
            params.ignore_eos = self.is_endless
            return params

        def forget(self) -> None:
            self._engine.reset_prefix_cache()

    engines = Engines(Endless.start)
    engine = engines.get(model, max_model_len=MAX_MODEL_LEN)
    folder = Path(tempfile.mkdtemp(prefix="whetstone-bench-"))

    def work(case: Case) -> tuple[int, float]:
        run_dir = folder / "run"
        shutil.rmtree(run_dir, ignore_errors=True)
        told = {"model": model, "prompts": "prompts.jsonl", "n": case.k, "seed": 17, "max_tokens": case.max_tokens}
        files.write_stage(run_dir, told | {"max_model_len": MAX_MODEL_LEN, "temperature": case.temperature})
        rows = ({"id": str(number), "messages": each} for number, each in enumerate(case.messages))
        files.write_json_lines(run_dir / "prompts.jsonl", rows)
        engine.is_endless = case.endless
        engine.forget()
        began = time.perf_counter()
        result = run(run_dir, engines=engines)
        files.write_result(run_dir, result)
        return result.output_tokens, time.perf_counter() - began

    return work


def start(name: str, model: str) -> Work:
    """The contender's engine, started."""
    match name:
        case "raw":
            return raw(model, {"model": model, "max_model_len": MAX_MODEL_LEN})
        case "raw, our settings":
            from sampling.engine.local import engine_options

            return raw(model, engine_options(model, max_model_len=MAX_MODEL_LEN))
        case "ours":
            return ours(model)
        case _:
            raise ValueError(name)


def peak_bytes() -> int:
    """The most that this process and those that it started have held, each at its own time (proc(5))."""
    return sum(_high_water(pid) for pid in _family(os.getpid()))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def _high_water(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return int(found["VmHWM"].split()[0]) * 1024 if "VmHWM" in found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--name", choices=CONTENDERS, required=True)
    parser.add_argument("--model", required=True)
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # vLLM logs to the standard output
    began = time.perf_counter()
    work = start(options.name, options.model)
    warm_up = Case("warm-up", 2, ("Say hello.",), max_tokens=8)
    started = time.perf_counter() - began
    work(warm_up)
    print(json.dumps({"start_seconds": started}), file=answers, flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        if told.get("end"):
            print(json.dumps({"peak_bytes": peak_bytes()}), file=answers, flush=True)
            break
        tokens, seconds = work(Case(**told["case"]))
        print(json.dumps({"tokens": tokens, "seconds": seconds}), file=answers, flush=True)


if __name__ == "__main__":
    main()
