"""What was forgotten: the new policy against the old one on harness tasks, and in perplexity on a held-out text.

    python -m training.pipeline.harness --run-dir DIR

Both are asked the same examples in the same type and batches, without a network. A task's drop is told in standard
errors of the difference, taken example by example where the task's figure is a mean over its examples: two policies
that miss the same questions differ by little more than nothing, however few the questions are. What a policy reached
is kept by the content of its weights and of the task, so an old policy is asked once. Of many tasks the largest drop
is large by chance alone: a gate over twenty wants a wider threshold than one over two.
"""

import gc
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev

import torch
from lm_eval.api.task import Task
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from sampling.engine.run_dir import main
from training.pipeline import harness_tasks, provenance
from training.pipeline.arguments import can_bf16
from training.pipeline.harness_tasks import Measured, QuietModel
from training.pipeline.measured import Measurements, policy_hash, sha256
from training.pipeline.perplexity import BUNDLED_TEXT, perplexity, text_of, tokens_of
from training.pipeline.trainers import Stage, check_model_is_there, is_main_process
from training.recipe import Harness


@dataclass(frozen=True)
class TaskResult:
    """One task, both policies. A drop is positive where the new policy is worse; null without a standard error."""

    task: str
    metric: str
    new: float
    new_stderr: float | None
    old: float
    old_stderr: float | None
    difference_stderr: float | None
    drop_in_errors: float | None
    examples: int


@dataclass(frozen=True)
class Result:
    """What goes into result.json."""

    perplexity_new: float
    perplexity_old: float
    perplexity_ratio: float  # new to old: above 1, the new one is the more surprised
    text: str  # the name of the text's file
    tasks: list[TaskResult]
    largest_drop: float | None  # of any task, in standard errors; null without tasks
    taken_from_cache: int  # of the figures above, by policy
    seconds: float


class Policy:
    """One policy, loaded when it is first asked, and what it reached, asked once and kept."""

    def __init__(self, location: str, stage: Stage, recipe: Harness) -> None:
        check_model_is_there(location)
        self.location = location
        self.stage = stage
        self.recipe = recipe
        self.taken_from_cache = 0
        self.dtype = torch.bfloat16 if can_bf16() else torch.float32
        asked_how = {"policy": policy_hash(location), "dtype": str(self.dtype), "micro_batch": recipe.micro_batch}
        caches = stage.inputs.get("caches")
        self._kept = Measurements(Path(caches) / "harness" if caches else None, asked_how)
        self._loaded: tuple[PreTrainedModel, PreTrainedTokenizerBase] | None = None

    def reached(self, name: str, task: Task, content: str) -> Measured:
        """On one task, whose ``content`` is its fingerprint."""
        about = {"task": content, "limit": self.recipe.limit, "seed": self.stage.seed}
        if kept := self._kept.get(about):
            self.taken_from_cache += 1
            return Measured(**kept)
        model, tokenizer = self._model()
        lm = QuietModel(pretrained=model, tokenizer=tokenizer, batch_size=self.recipe.micro_batch)
        found = harness_tasks.measure(lm, name, task, limit=self.recipe.limit, seed=self.stage.seed)
        self._kept.put(about, found)
        return found

    def perplexity(self, text: str) -> float:
        about = {"text": sha256(text), "window": self.recipe.window}
        if kept := self._kept.get(about):
            self.taken_from_cache += 1
            return kept["perplexity"]
        model, tokenizer = self._model()
        found = perplexity(
            model, tokens_of(tokenizer, text), window=self.recipe.window, micro_batch=self.recipe.micro_batch
        )
        self._kept.put(about, {"perplexity": found})
        return found

    def _model(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        if self._loaded is None:
            measuring = self.stage.progress.phase
            self.stage.say("loading")
            model = AutoModelForCausalLM.from_pretrained(self.location, dtype=self.dtype)
            model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
            self._loaded = model, AutoTokenizer.from_pretrained(self.location)
            self.stage.say(measuring)
        return self._loaded

    def unload(self) -> None:
        """Give its memory back: the other one comes next."""
        self._loaded = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def run(run_dir: Path) -> Result | None:
    """Ask the old policy and the new one, and compare."""
    if not is_main_process():
        return None
    started = time.monotonic()
    stage = Stage.start(run_dir, unit="measurements")
    recipe = Harness.parse(stage.told, source="stage.json")
    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns of ways to be called that are ours on purpose
    precision = "bf16" if can_bf16() else "fp32"
    provenance.change(run_dir, precision=precision, micro_batch=recipe.micro_batch, threads=provenance.threads())
    text = text_of(recipe.text)
    with harness_tasks.offline():
        tasks = harness_tasks.load_tasks(recipe.tasks, recipe.task_folder)
        contents = {name: harness_tasks.fingerprint(task, limit=recipe.limit) for name, task in tasks.items()}
        measured, surprised, cached = {}, {}, 0
        stage.progress.update(0, total=2 * (len(tasks) + 1))
        for which in ("old", "new"):
            policy = Policy(stage.inputs[f"policy_{which}"], stage, recipe)
            for name, task in tasks.items():
                stage.say(f"measuring the {which} policy: {name}")
                measured[which, name] = policy.reached(name, task, contents[name])
                stage.progress.update(stage.progress.done + 1)
            stage.say(f"measuring the {which} policy: perplexity")
            surprised[which] = policy.perplexity(text)
            stage.progress.update(stage.progress.done + 1)
            cached += policy.taken_from_cache
            policy.unload()
    compared = [compare(name, new=measured["new", name], old=measured["old", name]) for name in tasks]
    drops = [each.drop_in_errors for each in compared if each.drop_in_errors is not None]
    return Result(
        perplexity_new=surprised["new"],
        perplexity_old=surprised["old"],
        perplexity_ratio=surprised["new"] / surprised["old"],
        text=Path(recipe.text or BUNDLED_TEXT).name,
        tasks=compared,
        largest_drop=max(drops) if len(drops) == len(compared) and drops else None,
        taken_from_cache=cached,
        seconds=time.monotonic() - started,
    )


def check(recipe: Harness) -> None:
    """Raise RunDirError for a task or a text that is not there: hours before the stage would, if it is asked first."""
    text_of(recipe.text)
    with harness_tasks.offline():
        harness_tasks.load_tasks(recipe.tasks, recipe.task_folder)


def compare(name: str, *, new: Measured, old: Measured) -> TaskResult:
    """How far the new policy is below the old one."""
    fallen = (old.value - new.value) if new.higher_is_better else (new.value - old.value)
    error = _error_of_difference(new, old)
    return TaskResult(
        task=name,
        metric=new.metric,
        new=new.value,
        new_stderr=new.stderr,
        old=old.value,
        old_stderr=old.stderr,
        difference_stderr=error,
        drop_in_errors=_in_errors(fallen, error, new.examples),
        examples=new.examples,
    )


def _error_of_difference(new: Measured, old: Measured) -> float | None:
    """In pairs where each example has its figure: the standard deviation of the differences, over the root of n."""
    if new.by_example is not None and old.by_example is not None:
        differences = [after - before for after, before in zip(new.by_example, old.by_example, strict=True)]
        return stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else None
    if new.stderr is None or old.stderr is None:
        return None
    return math.hypot(new.stderr, old.stderr)  # as of two that have nothing in common


def _in_errors(fallen: float, error: float | None, examples: int) -> float | None:
    if fallen == 0:
        return 0.0
    if error is None:
        return None
    # Every example fell by the same: no spread to measure by, and no doubt either. Told as if one in n had differed.
    return fallen / error if error > 0 else math.copysign(float(examples), fallen)


if __name__ == "__main__":
    main(run)
