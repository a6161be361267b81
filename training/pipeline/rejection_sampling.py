"""Let the policy write K candidates for each prompt and keep the one that the reward model scores highest.

    python -m training.pipeline.rejection_sampling --run-dir DIR

Leaves `candidates.jsonl` (every candidate of this round with its score), `kept.jsonl` (rows to fine-tune on) and
`dropped.jsonl` (prompts of which nothing was kept). An attempt that was stopped leaves what it sampled in folders and
what it scored in the cache; the next one goes on from there. Left out: choosing a new K for each prompt.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import fmean

from sampling.engine.child import EngineChild
from sampling.engine.run_dir import RunDirError, main, write_json_lines
from training.pipeline.candidates import Candidate, keep_best
from training.pipeline.completions import Completion, Generate, Prompt, read_prompts, sample
from training.pipeline.earlier_candidates import read_earlier
from training.pipeline.left_out import count_by_reason, write_left_out
from training.pipeline.preferences import answered
from training.pipeline.scoring import Scorer
from training.pipeline.temperature_sweep import Tried, best_temperature, chosen_prompts, compare
from training.pipeline.trainers import Stage, is_main_process
from training.recipe import RejectionSampling


@dataclass(frozen=True)
class Result:
    """What goes into result.json. The two means are over the prompts of which one candidate was kept."""

    prompts: int
    candidates: int  # sampled in this round
    kept: int
    dropped: dict[str, int]  # prompts of this round by the reason why nothing of them was kept
    mean_score_all: float
    mean_score_kept: float
    temperature: float
    sweep: list[Tried]  # empty where one temperature was given
    pooled: int  # candidates of earlier rounds that were chosen from too
    from_earlier_rounds: int  # of what was kept
    scores_cached: int  # candidates that had been scored before, here or in another round
    seconds: float


def run(run_dir: Path, *, generate: Generate | None = None) -> Result | None:
    """Sample, score, and keep the best."""
    if not is_main_process():
        return None  # the engine spreads itself over devices
    with EngineChild() as engine:
        return _run(run_dir, generate or engine, make_room=engine.make_room)


def _run(run_dir: Path, generate: Generate, *, make_room: Callable[[], None]) -> Result:
    started = time.monotonic()
    stage = Stage.start(run_dir, unit="candidates")
    recipe = RejectionSampling.parse(stage.told, source="stage.json")
    prompts = read_prompts(stage.inputs["prompts"])
    studio = Studio(stage, recipe, generate, make_room)
    temperature, sweep, swept = studio.sweep(prompts)
    tried = {candidate.completion.prompt_id for candidate in swept}
    new = [*swept, *studio.write([each for each in prompts if each.id not in tried], temperature, folder="sampling")]
    others, earlier = studio.recall(prompts)
    candidates = [*new, *earlier]  # the new ones first: of equally good ones the first is kept
    kept, left_out = keep_best(prompts, candidates, finished_only=recipe.finished_only)
    dropped = count_by_reason(left_out)
    kept_of_others, _ = keep_best(others, candidates, finished_only=recipe.finished_only)  # counted in their own round
    kept |= kept_of_others
    write_left_out(run_dir, recipe.stage, left_out)
    if not kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise RunDirError(
            f"Of {len(prompts)} prompts no candidate could be kept ({reasons}). "
            "Raise max_tokens, temperature or candidates in the recipe."
        )
    write_files(run_dir, [*prompts, *others], new, kept)
    return Result(
        prompts=len(prompts),
        candidates=len(new),
        kept=len(kept),
        dropped=dropped,
        # Of the same prompts: a prompt with nothing kept would shift one mean and not the other.
        mean_score_all=fmean(each.score for each in candidates if each.completion.prompt_id in kept),
        mean_score_kept=fmean(candidate.score for candidate in kept.values()),
        temperature=temperature,
        sweep=sweep,
        pooled=len(earlier),
        from_earlier_rounds=sum(bool(candidate.source) for candidate in kept.values()),
        scores_cached=studio.scorer.from_cache,
        seconds=time.monotonic() - started,
    )


class Studio:
    """The newest policy, which writes, and the best reward model, which scores; both in memory only where both fit."""

    def __init__(
        self, stage: Stage, recipe: RejectionSampling, generate: Generate, make_room: Callable[[], None]
    ) -> None:
        self.stage = stage
        self.recipe = recipe
        self.generate = generate
        self.make_room = make_room
        if not stage.inputs.get("reward"):
            raise RunDirError(
                "There is no reward model to score candidates with. Add [reward_model] to the recipe, or continue a "
                "round that trained one."
            )
        caches = stage.inputs.get("caches") or stage.run_dir / "caches"
        self.scorer = Scorer(stage.inputs["reward"], micro_batch=recipe.micro_batch, caches=caches)

    def sweep(self, prompts: Sequence[Prompt]) -> tuple[float, list[Tried], list[Candidate]]:
        """The temperature to use, what each one tried came to, and the candidates that the best one wrote already."""
        temperatures = list(dict.fromkeys(self.recipe.temperatures)) or [self.recipe.temperature]
        if len(temperatures) == 1:
            return temperatures[0], [], []
        chosen = chosen_prompts(prompts, count=self.recipe.sweep_prompts, seed=self.stage.seed)
        # All of them before any is scored: the engine and the reward model would share a device.
        written = {each: self._sample(chosen, each, folder=f"sweep-{each:g}") for each in temperatures}
        # And all in one go: a prompt's candidates are read together, whatever temperature they were written at.
        candidates = iter(self._score(chosen, [each for completions in written.values() for each in completions]))
        scored = {each: list(islice(candidates, len(completions))) for each, completions in written.items()}
        self.scorer.release()
        tried = compare(scored, finished_only=self.recipe.finished_only)
        best = best_temperature(tried)
        return best, tried, scored[best]

    def write(self, prompts: Sequence[Prompt], temperature: float, *, folder: str) -> list[Candidate]:
        """K candidates of each prompt, with their scores."""
        return self._score(prompts, self._sample(prompts, temperature, folder=folder))

    def recall(self, prompts: Sequence[Prompt]) -> tuple[list[Prompt], list[Candidate]]:
        """Prompts that only earlier rounds had, and the candidates of all earlier rounds, scored like the new ones."""
        earlier = read_earlier(self.stage.inputs.get("pool", []), prompts)
        ids = {prompt.id for prompt in prompts}
        others = {each.prompt.id: each.prompt for each in earlier if each.prompt.id not in ids}
        scored = self._score([each.prompt for each in earlier], [each.completion for each in earlier])
        candidates = [replace(new, source=each.source) for new, each in zip(scored, earlier, strict=True)]
        return list(others.values()), candidates

    def _sample(self, prompts: Sequence[Prompt], temperature: float, *, folder: str) -> list[Completion]:
        if not prompts:
            return []
        return sample(
            self.stage.run_dir / folder,
            policy=self.stage.inputs["policy"],
            prompts=list(prompts),
            recipe=replace(self.recipe, temperature=temperature),
            n=self.recipe.candidates,
            seed=self.stage.seed,
            progress=self.stage.progress,
            phase=f"candidates at temperature {temperature:g}",
            generate=self.generate,
        )

    def _score(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[Candidate]:
        if not completions:
            return []
        messages = {prompt.id: prompt.messages for prompt in prompts}
        # Without the blanks around it, as it would be kept.
        conversations = [answered(messages[each.prompt_id], each.text.strip()) for each in completions]
        self.make_room()
        self.stage.progress.update(0, total=len(conversations), phase="scoring")
        scores = self.scorer.score(conversations, on_progress=self.stage.progress.update)
        return [Candidate(*each) for each in zip(completions, scores, strict=True)]


def write_files(
    run_dir: Path, prompts: Sequence[Prompt], candidates: Sequence[Candidate], kept: dict[str, Candidate]
) -> None:
    """Write what people and later rounds look at, and what SFT reads."""
    by_id = {prompt.id: prompt for prompt in prompts}
    rows = [candidate.as_row(by_id[candidate.completion.prompt_id]) for candidate in candidates]
    write_json_lines(run_dir / "candidates.jsonl", rows)
    rows = [kept[prompt.id].as_kept_row(prompt) for prompt in prompts if prompt.id in kept]
    write_json_lines(run_dir / "kept.jsonl", rows)


if __name__ == "__main__":
    main(run)
