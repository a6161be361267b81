"""Let the policy write K candidates for each prompt and keep the one that the reward model scores highest.

    python -m training.pipeline.rejection_sampling --run-dir DIR

Leaves `candidates.jsonl` (every candidate with its score) and `kept.jsonl` (rows to fine-tune on). Left out:
pooling the best of earlier rounds, which Llama 2 found to help against forgetting.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from sampling.engine.generate import generate_in_child
from sampling.engine.run_dir import RunDirError, main
from training.pipeline.completions import Completion, Generate, Prompt, read_prompts, sample
from training.pipeline.preferences import answered
from training.pipeline.scoring import Scorer
from training.pipeline.trainers import Stage, is_main_process
from training.recipe import RejectionSampling


@dataclass(frozen=True)
class Candidate:
    """A completion and what the reward model thinks of it."""

    completion: Completion
    score: float


@dataclass(frozen=True)
class Result:
    """What goes into result.json. The two means are over the prompts of which one candidate was kept."""

    prompts: int
    candidates: int
    kept: int
    dropped: dict[str, int]  # prompts by the reason why nothing of them was kept
    mean_score_all: float
    mean_score_kept: float
    seconds: float


def run(run_dir: Path, *, generate: Generate = generate_in_child) -> Result | None:
    """Sample, score, and keep the best."""
    if not is_main_process():
        return None  # the engine spreads itself over devices
    started = time.monotonic()
    stage = Stage.start(run_dir, unit="candidates")
    recipe = RejectionSampling.parse(stage.told, source="stage.json")
    prompts = read_prompts(stage.inputs["prompts"])
    completions = sample(
        run_dir / "sampling",
        policy=stage.inputs["policy"],
        prompts=prompts,
        recipe=recipe,
        n=recipe.candidates,
        seed=stage.seed,
        progress=stage.progress,
        phase="candidates",
        generate=generate,
    )
    candidates = scored(stage, recipe, prompts, completions)
    kept, dropped = keep_best(prompts, candidates, finished_only=recipe.finished_only)
    if not kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise RunDirError(
            f"Of {len(prompts)} prompts no candidate could be kept ({reasons}). "
            "Raise max_tokens, temperature or candidates in the recipe."
        )
    write_files(run_dir, prompts, candidates, kept)
    return Result(
        prompts=len(prompts),
        candidates=len(candidates),
        kept=len(kept),
        dropped=dropped,
        # Of the same prompts: a prompt with nothing kept would shift one mean and not the other.
        mean_score_all=fmean(c.score for c in candidates if c.completion.prompt_id in kept),
        mean_score_kept=fmean(candidate.score for candidate in kept.values()),
        seconds=time.monotonic() - started,
    )


def scored(
    stage: Stage, recipe: RejectionSampling, prompts: Sequence[Prompt], completions: Sequence[Completion]
) -> list[Candidate]:
    """Every completion with the reward model's score of it."""
    messages = {prompt.id: prompt.messages for prompt in prompts}
    conversations = [answered(messages[each.prompt_id], each.text) for each in completions]
    stage.progress.update(0, total=len(conversations), phase="scoring")
    scorer = Scorer(stage.inputs["reward"], micro_batch=recipe.micro_batch)
    scores = scorer.score(conversations, on_progress=stage.progress.update)
    return [Candidate(*each) for each in zip(completions, scores, strict=True)]


def keep_best(
    prompts: Sequence[Prompt], candidates: Sequence[Candidate], *, finished_only: bool
) -> tuple[dict[str, Candidate], dict[str, int]]:
    """The best candidate by prompt id, and the number of prompts of which none was kept, by reason."""
    by_prompt: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_prompt[candidate.completion.prompt_id].append(candidate)
    kept: dict[str, Candidate] = {}
    dropped: Counter[str] = Counter()
    for prompt in prompts:
        found = by_prompt.get(prompt.id, [])
        usable = [each for each in found if _is_usable(each.completion, finished_only=finished_only)]
        if not found:
            dropped["not_sampled"] += 1
        elif len({each.completion.text.strip() for each in found}) == 1:
            dropped["all_alike"] += 1  # nothing was rejected, so nothing is learned
        elif not usable:
            dropped["none_finished" if finished_only else "all_empty"] += 1
        else:
            kept[prompt.id] = max(usable, key=lambda each: each.score)
    return kept, dict(dropped)


def _is_usable(completion: Completion, *, finished_only: bool) -> bool:
    return bool(completion.text.strip()) and not (finished_only and completion.finish_reason == "length")


def write_files(
    run_dir: Path, prompts: Sequence[Prompt], candidates: Sequence[Candidate], kept: dict[str, Candidate]
) -> None:
    """Write what people look at and what SFT reads."""
    rows = [
        {
            "prompt_id": each.completion.prompt_id,
            "index": each.completion.index,
            "text": each.completion.text,
            "score": each.score,
            "finish_reason": each.completion.finish_reason,
        }
        for each in candidates
    ]
    write_json_lines(run_dir / "candidates.jsonl", rows)
    rows = [
        {
            "prompt_id": prompt.id,
            "score": kept[prompt.id].score,
            "messages": answered(prompt.messages, kept[prompt.id].completion.text.strip()),
        }
        for prompt in prompts
        if prompt.id in kept
    ]
    write_json_lines(run_dir / "kept.jsonl", rows)


def write_json_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write one object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main(run)
