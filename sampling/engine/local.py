"""vLLM's engine inside this process, fed with single completions.

Knows vLLM's Python interface as of 0.32 and nothing of files. vLLM is imported only when an engine is
started.
"""

import os
from collections.abc import Iterator
from itertools import islice
from typing import Any

from sampling.engine.requests import Completion, Request, Settings
from sampling.engine.run_dir import RunDirError

# On two cores the rate is flat from 64 upwards, so a number that also suits a wider machine.
CPU_SEQUENCES = 128
# For each token: 46,000 tokens of the demo's model. Two take two seconds longer to start, because all of it
# is touched.
CPU_CACHE_GIB = "1"
# The smallest block that the CPU's attention takes: a prompt shorter than one block is shared by no two
# completions.
CPU_BLOCK_TOKENS = 32


class LocalEngine:
    """A started engine; its memory is given back only by the end of the process."""

    def __init__(self, engine: Any, max_in_flight: int) -> None:
        self._engine = engine
        self._max_in_flight = max_in_flight

    @classmethod
    def start(cls, model: str, *, max_model_len: int) -> "LocalEngine":
        """Load the model, in seconds to minutes."""
        from vllm import EngineArgs, LLMEngine
        from vllm.platforms import current_platform

        options: dict[str, Any] = {
            "model": model,
            "max_model_len": max_model_len,
            "seed": 0,  # of the engine; each completion has its own
            "disable_log_stats": True,
        }
        if current_platform.is_cpu():
            # One process instead of three: a third of the start, and no core kept back for the scheduler.
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", CPU_CACHE_GIB)
            options |= {
                "dtype": "bfloat16",
                "enforce_eager": True,  # compiling takes longer than most runs last
                "max_num_seqs": CPU_SEQUENCES,
                "block_size": CPU_BLOCK_TOKENS,
                # vLLM 0.32 takes back a random draw that belongs to a part of a prompt, which a CPU's
                # generator cannot do ("CPU Generator does not use offset"): with seeds, prompts must be
                # read whole.
                "enable_chunked_prefill": False,
                "max_num_batched_tokens": max(4096, max_model_len),
            }
        engine = LLMEngine.from_engine_args(EngineArgs(**options))
        return cls(engine, max_in_flight=2 * engine.vllm_config.scheduler_config.max_num_seqs)

    def complete(self, settings: Settings, requests: list[Request]) -> Iterator[Completion]:
        """Yield each completion as soon as it ends, in whatever order that is."""
        from vllm.v1.engine.exceptions import EngineDeadError

        waiting = iter(requests)
        in_flight: dict[str, Request] = {}
        try:
            while True:
                # A window, not everything at once: a hundred thousand prompts would all be copied into the
                # engine.
                for request in islice(waiting, self._max_in_flight - len(in_flight)):
                    self._add(settings, request, in_flight)
                if not in_flight:
                    return
                for output in self._engine.step():
                    if output.finished and (completion := _completion(in_flight.pop(output.request_id), output)):
                        yield completion
        except EngineDeadError as error:
            raise RunDirError(
                f"vLLM's engine died ({error}). output.log says why. Start it again: only what is missing is sampled."
            ) from error

    def _add(self, settings: Settings, request: Request, in_flight: dict[str, Request]) -> None:
        from vllm import SamplingParams
        from vllm.inputs.engine import tokens_input
        from vllm.sampling_params import RequestOutputKind

        request_id = f"{request.index}/{request.prompt_id}"
        params = SamplingParams(
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_tokens,
            seed=request.seed,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        self._engine.add_request(request_id, tokens_input(request.token_ids), params)
        in_flight[request_id] = request


def _completion(request: Request, output: Any) -> Completion | None:
    (answer,) = output.outputs
    if answer.finish_reason not in ("stop", "length"):
        return None  # given up by the engine: it stays missing, and is counted as that
    return Completion(request.prompt_id, request.index, answer.text, len(answer.token_ids), answer.finish_reason)
