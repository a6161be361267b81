"""Candidates: completions with the reward model's score, and which of a prompt's is kept."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.pipeline.completions import Completion, Prompt
from training.pipeline.left_out import LeftOut, shortened
from training.pipeline.preferences import answered


@dataclass(frozen=True)
class Candidate:
    """A completion and what the reward model thinks of it."""

    completion: Completion
    score: float
    source: str = ""  # the file of an earlier round that it comes from; empty: it was sampled now

    @property
    def text(self) -> str:
        """What it says, without the blanks around it that a template would not have."""
        return self.completion.text.strip()

    def is_usable(self, *, finished_only: bool) -> bool:
        """Whether it may be kept: an empty one never, one that was cut off only where the recipe allows it."""
        return bool(self.text) and not (finished_only and self.completion.finish_reason == "length")

    def as_row(self, prompt: Prompt) -> dict[str, Any]:
        """A row of `candidates.jsonl`: all that a later round needs to choose it."""
        return {
            "prompt_id": prompt.id,
            "index": self.completion.index,
            "messages": prompt.messages,
            "text": self.completion.text,
            "tokens": self.completion.tokens,
            "score": self.score,
            "finish_reason": self.completion.finish_reason,
        }

    def as_kept_row(self, prompt: Prompt) -> dict[str, Any]:
        """A row of `kept.jsonl`, which SFT reads."""
        return {
            "prompt_id": prompt.id,
            "score": self.score,
            "source": self.source,
            "messages": answered(prompt.messages, self.text),
        }


def by_prompt(candidates: Iterable[Candidate]) -> Mapping[str, list[Candidate]]:
    """The candidates of each prompt's id, in their order."""
    found: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        found[candidate.completion.prompt_id].append(candidate)
    return found


def keep_best(
    prompts: Sequence[Prompt], candidates: Sequence[Candidate], *, finished_only: bool
) -> tuple[dict[str, Candidate], list[LeftOut]]:
    """The best candidate by prompt id, and the prompts of which none was kept, with the reason."""
    found = by_prompt(candidates)
    kept: dict[str, Candidate] = {}
    left_out = []
    for prompt in prompts:
        all_of_it = found.get(prompt.id, [])
        usable = [each for each in all_of_it if each.is_usable(finished_only=finished_only)]
        if reason := _why_none(all_of_it, usable, finished_only=finished_only):
            left_out.append(LeftOut(reason=reason, prompt_id=prompt.id, excerpt=_excerpt(prompt)))
        else:
            kept[prompt.id] = max(usable, key=lambda each: each.score)  # the first of equals: the newest policy's
    return kept, left_out


def are_all_alike(candidates: Sequence[Candidate]) -> bool:
    """Whether all say the same: then nothing is rejected, and nothing is learned from keeping one."""
    return len({each.text for each in candidates}) == 1


def _why_none(all_of_it: Sequence[Candidate], usable: Sequence[Candidate], *, finished_only: bool) -> str | None:
    if not all_of_it:
        return "not_sampled"
    if are_all_alike(all_of_it):
        return "all_alike"
    if not usable:
        return "none_finished" if finished_only else "all_empty"
    return None


def _excerpt(prompt: Prompt) -> str:
    return shortened(prompt.messages[-1]["content"]) if prompt.messages else ""
