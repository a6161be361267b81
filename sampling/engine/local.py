"""vLLM's engine inside this process, fed with single completions; and which one runs, where one follows another.

Knows vLLM's Python interface as of 0.32 and nothing of files. vLLM is imported only when an engine is
started.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

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


def engine_options(model: str, *, max_model_len: int) -> dict[str, Any]:
    """What vLLM is told of an engine on this machine; on a CPU the environment is told too."""
    from vllm.platforms import current_platform

    options: dict[str, Any] = {
        "model": model,
        "max_model_len": max_model_len,
        "seed": 0,  # of the engine; each completion has its own
        "disable_log_stats": True,
    }
    if not current_platform.is_cpu():
        return options
    # One process instead of three: a third of the start, and no core kept back for the scheduler.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", CPU_CACHE_GIB)
    return options | {
        "dtype": "bfloat16",
        "enforce_eager": True,  # compiling takes longer than most runs last
        "max_num_seqs": CPU_SEQUENCES,
        "block_size": CPU_BLOCK_TOKENS,
        # vLLM 0.32 takes back a random draw that belongs to a part of a prompt, which a CPU's generator cannot do
        # ("CPU Generator does not use offset"): with seeds, prompts must be read whole.
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(4096, max_model_len),
    }


class LocalEngine:
    """A started engine."""

    def __init__(self, engine: Any, max_in_flight: int) -> None:
        self._engine = engine
        self._max_in_flight = max_in_flight

    @classmethod
    def start(cls, model: str, *, max_model_len: int) -> "LocalEngine":
        """Load the model, in seconds to minutes."""
        from vllm import EngineArgs, LLMEngine

        options = engine_options(model, max_model_len=max_model_len)
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

    def close(self) -> None:
        """Give its memory back: on a CPU the weights and the cache are this process's own."""
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory
        from vllm.platforms import current_platform

        self._engine.engine_core.shutdown()
        del self._engine
        if current_platform.is_cpu():  # elsewhere the engine was a process, and all of it has ended
            cleanup_dist_env_and_memory()  # else the next engine finds its process group taken
            gc.collect()  # what held the weights held itself

    def params(self, settings: Settings, request: Request) -> Any:
        """How a completion is to be sampled, as vLLM is told."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_tokens,
            seed=request.seed,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _add(self, settings: Settings, request: Request, in_flight: dict[str, Request]) -> None:
        from vllm.inputs.engine import tokens_input

        request_id = f"{request.index}/{request.prompt_id}"
        self._engine.add_request(request_id, tokens_input(request.token_ids), self.params(settings, request))
        in_flight[request_id] = request


class Engines:
    """At most one engine, kept for as long as it suits what is asked.

    Another policy gets an engine of its own, built anew in this process: on a CPU three seconds instead of fifteen,
    since all is imported, and it says the same as a fresh one. (`reload_weights` in place is faster still and silently
    wrong there: vLLM 0.32 leaves the linear layers' packed copies in an unknown state.)
    """

    def __init__(self, start: Callable[..., LocalEngine] = LocalEngine.start) -> None:
        self._start = start
        self._current: LocalEngine | None = None
        self._model, self._max_model_len = "", 0

    def get(self, model: str, *, max_model_len: int) -> LocalEngine:
        """The engine that runs, if it is this model's and long enough; else a new one in its place."""
        if self._current is None or model != self._model or max_model_len > self._max_model_len:
            self.close()
            self._current = self._start(model, max_model_len=max_model_len)
            self._model, self._max_model_len = model, max_model_len
        return self._current

    def make_room(self) -> None:
        """Somebody else is about to load a model: close the engine, unless there is room enough for both."""
        if self._current is not None and not _there_is_room():
            self.close()

    def close(self) -> None:
        """Give the engine's memory back."""
        if self._current is not None:
            self._current.close()
            self._current = None


def leave(code: int = 0) -> NoReturn:
    """End this process: at once where an engine lives in it, for Python takes five seconds to tidy up after vLLM."""
    sys.stdout.flush()
    sys.stderr.flush()
    if "vllm" in sys.modules:
        from vllm.distributed import parallel_state
        from vllm.platforms import current_platform

        if current_platform.is_cpu():  # elsewhere the engine is a process, which Python's tidying up ends
            parallel_state.destroy_model_parallel()
            parallel_state.destroy_distributed_environment()  # or its file stays in /tmp
            os._exit(code)
    sys.exit(code)


def _there_is_room() -> bool:
    """Whether the machine could hold twice more what this process holds: another model may be as large, and its batches
    as large again. Never on a GPU, of which an engine takes nearly everything.
    """
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return False
    try:
        return free_bytes() > 2 * held_bytes()
    except FileNotFoundError:  # no Linux
        return False


def held_bytes() -> int:
    """What this process holds in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def free_bytes() -> int:
    """What this process could still have: of the machine, or of its control group, where it is in one (cgroups(7))."""
    info = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    free = int(info["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # none, or the older kind
        return free
    return free if limit == "max" else min(free, int(limit) - used)


def _completion(request: Request, output: Any) -> Completion | None:
    (answer,) = output.outputs
    if answer.finish_reason not in ("stop", "length"):
        return None  # given up by the engine: it stays missing, and is counted as that
    return Completion(request.prompt_id, request.index, answer.text, len(answer.token_ids), answer.finish_reason)
