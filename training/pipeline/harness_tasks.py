"""LM Evaluation Harness tasks (arXiv 2405.14782): finding their files, and what one policy reaches on one of them.

The harness's names are used here only. Tasks are asked without a chat template, as its published figures are. Left
out: the tables of groups; the tasks of a group stand alone. A task file may name Python functions beside it, which
then run: choose folders as you choose programs.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants
import lm_eval.evaluator
from lm_eval.api.metrics import mean
from lm_eval.api.task import Task
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from sampling.engine.run_dir import RunDirError

BUNDLED = Path(__file__).resolve().parent.parent / "harness_tasks"
BOOTSTRAPS = 200  # for the standard errors that have no formula


@dataclass(frozen=True)
class Measured:
    """What a policy reached on a task, in the first metric that the task names."""

    metric: str
    value: float
    stderr: float | None
    higher_is_better: bool
    examples: int
    # The metric of each example, in the task's order, where the value is their mean: for differences in pairs.
    by_example: list[float] | None


class QuietModel(HFLM):
    """A loaded policy, as the harness asks it; without its progress bars, for the log is read by people."""

    def loglikelihood(self, requests, disable_tqdm=True):
        return super().loglikelihood(requests, disable_tqdm=disable_tqdm)

    def loglikelihood_rolling(self, requests, disable_tqdm=True):
        return super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)

    def generate_until(self, requests, disable_tqdm=True):
        return super().generate_until(requests, disable_tqdm=disable_tqdm)


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """No network: what is not on this machine is not there. The libraries read their variables when imported."""
    places = [(huggingface_hub.constants, "HF_HUB_OFFLINE"), (datasets.config, "HF_HUB_OFFLINE")]
    before = [(module, name, getattr(module, name)) for module, name in places]
    for module, name in places:
        setattr(module, name, True)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def load_tasks(names: tuple[str, ...], folder: str = "") -> dict[str, Task]:
    """The tasks by name: of ``folder``, of the project's own, else of the harness where their data are here already.

    A group or a tag gives all its tasks. Raises RunDirError for a name that nobody knows, with those that are known.
    """
    if not names:
        return {}
    if folder and not Path(folder).is_dir():
        raise RunDirError(
            f'There is no folder {folder} for "task_folder". Correct it in the recipe\'s harness section, or leave it '
            "out."
        )
    # Later folders win: a user's task of the same name is what the user means.
    local = TaskManager(include_path=[str(BUNDLED), *([folder] if folder else [])], include_defaults=False)
    strangers = [name for name in names if name not in local.task_index]
    # Thousands of files, so they are only looked through where somebody asks for one.
    known_to_harness = TaskManager() if strangers else None
    if known_to_harness and (unknown := [name for name in strangers if name not in known_to_harness.task_index]):
        raise RunDirError(
            f'There is no harness task "{unknown[0]}". Known here: {", ".join(local.all_tasks)}. Choose one of them, '
            'or put its YAML file into the recipe\'s "task_folder".'
        )
    found: dict[str, Task] = {}
    for name in names:
        manager = known_to_harness if name in strangers else local
        found |= _load(manager, name, is_local=manager is local, folder=folder)
    return found


def _load(manager: TaskManager, name: str, *, is_local: bool, folder: str) -> dict[str, Task]:
    path = manager.task_index[name].yaml_path
    beside = Path(path).parent if path else Path(folder or BUNDLED)
    try:
        if not is_local:
            return manager.load([name])["tasks"]
        # The harness takes the data files of a task file for paths from where the program runs.
        with contextlib.chdir(beside), _own_cache():
            return manager.load([name])["tasks"]
    except Exception as error:  # a file of somebody else's, which may hold anything
        remedy = (
            "See its YAML file and the data files that it names"
            if is_local
            else "It comes with the harness, its data are not on this machine, and a stage uses no network. Fetch them "
            'with the datasets library first, or put a task file of your own into the recipe\'s "task_folder"'
        )
        raise RunDirError(
            f'The harness task "{name}" cannot be loaded. {remedy}. ({type(error).__name__}: {str(error)[:300]})'
        ) from error


@contextlib.contextmanager
def _own_cache() -> Iterator[None]:
    """Local files are read anew each time, and leave nothing in the user's cache."""
    before = datasets.config.HF_DATASETS_CACHE
    with tempfile.TemporaryDirectory(prefix="harness-") as directory:
        datasets.config.HF_DATASETS_CACHE = Path(directory)
        try:
            yield
        finally:
            datasets.config.HF_DATASETS_CACHE = before


def fingerprint(task: Task, *, limit: int) -> str:
    """SHA-256 of all that a task asks: its settings and its examples, wherever its files are."""
    config = {key: value for key, value in task.dump_config().items() if key not in ("metadata", "dataset_kwargs")}
    asked = list(task.eval_docs)[: limit or None]
    shots = list(task.fewshot_docs() or []) if config.get("num_fewshot") else []
    content = json.dumps([config, asked, shots], default=str, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def measure(lm: HFLM, name: str, task: Task, *, limit: int, seed: int) -> Measured:
    """Ask the policy the task's examples, the first ``limit`` of them (0: all), with the same few shots for a seed."""
    if task.get_config("num_fewshot") is None:
        task.set_config("num_fewshot", 0)
    task.set_fewshot_seed(seed)
    # Its bootstrap would start a process for each core.
    os.environ["DISABLE_MULTIPROC"] = "1"
    results = lm_eval.evaluator.evaluate(
        lm=lm, task_dict={"tasks": {name: task}}, limit=limit or None, bootstrap_iters=BOOTSTRAPS
    )
    metric, scores = _main_metric(name, task, results["results"][name])
    key, chosen_filter = metric.split(",", 1)
    asked = [row for row in results["samples"][name] if row["filter"] == chosen_filter]
    is_mean = task.aggregation().get(key) is mean
    stderr = scores.get(f"{key}_stderr,{chosen_filter}")
    return Measured(
        metric=key,
        value=float(scores[metric]),
        stderr=float(stderr) if isinstance(stderr, int | float) else None,
        higher_is_better=task.higher_is_better().get(key) is not False,
        examples=len(asked),
        by_example=[float(row[key]) for row in asked] if is_mean else None,
    )


def _main_metric(name: str, task: Task, scores: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The first metric that the task names, by its first filter: "acc,none"."""
    for metric in task.aggregation():
        for key, value in scores.items():
            if key.startswith(f"{metric},") and isinstance(value, int | float):
                return key, scores
    raise RunDirError(f'The harness task "{name}" gives no figure. Name a metric in the "metric_list" of its file.')
