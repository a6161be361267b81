"""What happens inside a claimed sampling run: one program for each policy, and every completion taken in as it comes.

The run's row is the caller's to end. Everything here can be done again from the start: what is in the files is not
sampled twice, and what is in the table is not stored twice.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from sampling import checkpoints, processes
from sampling.checkpoints import ModelNotUsable
from sampling.completion_intake import CompletionIntake
from sampling.engine import run_dir as files
from sampling.keep_alive import kept_alive
from sampling.models import ModelVersion, SamplingRun
from sampling.program_runs import Outcome, run_program

PROMPTS = "prompts.jsonl"
COMPLETIONS = "completions.jsonl"
SKIPPED = "skipped.jsonl"
TEMPLATE_TOKENS = 256  # what a chat template adds, with room for its default system message

Report = Callable[[int, int, str], object]  # (done, total, phase)


def engine_argv(run_dir: Path) -> list[str]:
    """The program that samples; the files are the only other thing that it is told."""
    return [sys.executable, "-m", "sampling.engine.generate", "--run-dir", str(run_dir)]


def sample(run: SamplingRun, report: Report) -> Outcome:
    """Sample from every policy of ``run``, one after the other, and say how it ended.

    Raises ModelNotUsable before any engine starts when a policy's files are missing.
    """
    policies = list(run.policies.order_by("pk"))
    for policy in policies:
        _check_present(policy)
    with kept_alive(run):
        counts = [_write_inputs(run, policy) for policy in policies]
    total = sum(counts) * run.n
    outcome: Outcome = processes.Finished({})
    taken = 0
    for policy, prompts in zip(policies, counts, strict=True):
        name = f"{policy.name}: " if len(policies) > 1 else ""
        work = _PolicyWork(run=run, policy=policy, prompts=prompts, before=taken, total=total, name=name, report=report)
        outcome = work.do()
        taken += work.intake.lines
        if not isinstance(outcome, processes.Finished):
            return outcome
    return outcome


def skipped_prompts(run: SamplingRun) -> list[dict[str, str]]:
    """The prompts that a policy could not answer, as its program reported them."""
    return [
        {"prompt_id": str(row["prompt_id"]), "reason": row["reason"], "model": policy.name}
        for policy in run.policies.order_by("pk")
        for row in files.read_json_lines(policy_dir(run, policy) / SKIPPED)
    ]


def tokens_per_second(run: SamplingRun) -> float | None:
    """Output tokens per second over all policies' programs, engine start left out."""
    results = [files.read_result(policy_dir(run, policy)) or {} for policy in run.policies.all()]
    seconds = sum(result.get("seconds") or 0 for result in results)
    return sum(result.get("output_tokens") or 0 for result in results) / seconds if seconds else None


def policy_dir(run: SamplingRun, policy: ModelVersion) -> Path:
    """The run directory of one policy's program."""
    return run.run_dir / str(policy.pk)


class _PolicyWork:
    """One policy's share of a run."""

    def __init__(
        self,
        *,
        run: SamplingRun,
        policy: ModelVersion,
        prompts: int,
        before: int,
        total: int,
        name: str,
        report: Report,
    ) -> None:
        self.run = run
        self.policy = policy
        self.expected = prompts * run.n
        self.before = before
        self.total = total
        self.name = name
        self.report = report
        self.run_dir = policy_dir(run, policy)
        self.intake = CompletionIntake(run=run, policy=policy, path=self.run_dir / COMPLETIONS)

    def do(self) -> Outcome:
        """Run the program unless its work is there already, and see that nothing is missing."""
        with kept_alive(self.run):  # a million lines of an earlier attempt take a while to be found in the table
            there = self.intake.take_new()
        if there >= self.expected:
            self._on_tick({})
            return processes.Finished({})
        argv = engine_argv(self.run_dir)
        outcome = run_program(task=self.run, argv=argv, run_dir=self.run_dir, on_tick=self._on_tick)
        if isinstance(outcome, processes.Finished):
            return self._checked(outcome)
        return outcome

    def _on_tick(self, progress: dict) -> dict:
        done = self.before + self.intake.take_new()
        phase = f"{self.name}{progress.get('phase') or ''}".strip()[:200]
        self.report(done, self.total, phase)
        return {"done": done, "total": self.total, "phase": phase}

    def _checked(self, outcome: processes.Finished) -> Outcome:
        skipped = {row["prompt_id"] for row in files.read_json_lines(self.run_dir / SKIPPED)}
        missing = self.expected - len(skipped) * self.run.n - self.intake.lines
        if missing > 0:
            return processes.Failed(
                f"{self.policy.name} ended without an error, but {missing} of {self.expected} completions are missing. "
                "Retry: only the missing ones are sampled."
            )
        return outcome


def _check_present(policy: ModelVersion) -> None:
    try:
        checkpoints.check_present(policy.location)
    except ModelNotUsable as error:
        raise ModelNotUsable(
            f'Model "{policy.name}" cannot be used: {error} Put its files back, or register it again under another '
            "name and start a run with that."
        ) from None


def _write_inputs(run: SamplingRun, policy: ModelVersion) -> int:
    """Write what the program is told; return the number of prompts."""
    run_dir = policy_dir(run, policy)
    run_dir.mkdir(parents=True, exist_ok=True)
    count, longest_bytes = _write_prompts(run, run_dir / PROMPTS)
    stage = {
        "model": policy.location,
        "prompts": PROMPTS,
        "n": run.n,
        "seed": run.seed,
        "temperature": run.temperature,
        "top_p": run.top_p,
        "max_tokens": run.max_tokens,
        "max_model_len": _max_model_len(run, policy, longest_bytes),
        "urls": settings.VLLM_URLS,
        "served_as": policy.name,
    }
    files.write_stage(run_dir, stage)
    return count


def _write_prompts(run: SamplingRun, path: Path) -> tuple[int, int]:
    """Write the prompts, unless an earlier attempt did; return how many there are, and the longest line's bytes.

    Once only: prompts that were imported later are not this run's, or a retry would never come to its end.
    """
    if not path.exists():
        temporary = path.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            for pk, messages in run.prompts().values_list("pk", "messages").iterator(chunk_size=1000):
                file.write(json.dumps({"id": str(pk), "messages": messages}, ensure_ascii=False) + "\n")
        temporary.replace(path)
    count, longest = 0, 0
    with path.open("rb") as file:
        for line in file:
            count, longest = count + 1, max(longest, len(line))
    return count, longest


def _max_model_len(run: SamplingRun, policy: ModelVersion, longest_bytes: int) -> int:
    """Room for the longest prompt and its answer, and no more: the engine sets memory aside for it.

    A token is at least one byte. Above 8,192 that bound is far too generous, so two bytes a token are taken there;
    a prompt that still does not fit is left out by the program, with the reason.
    """
    prompt_tokens = longest_bytes if longest_bytes <= 8192 else max(8192, longest_bytes // 2)
    needed = prompt_tokens + TEMPLATE_TOKENS + run.max_tokens
    rounded = -(-needed // 512) * 512
    limit = checkpoints.context_length(policy.location)
    return min(rounded, limit) if limit else rounded
