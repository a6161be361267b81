"""Which temperature to sample candidates with, tuned again in each round as Llama 2 did (arXiv 2307.09288, 3.2.3).

Each temperature of the recipe writes candidates of the same few prompts; the one whose kept candidates score highest
is used for all prompts. Pure figures: who samples and scores is not known here.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from training.pipeline.candidates import Candidate, are_all_alike, by_prompt
from training.pipeline.completions import Prompt


@dataclass(frozen=True)
class Tried:
    """What one temperature came to. The means are over prompts, so that each counts once."""

    temperature: float
    prompts: int
    mean_best_score: float  # of the candidate that would be kept
    mean_score: float
    all_alike: int  # prompts whose candidates all say the same
    none_usable: int  # prompts of which nothing could be kept


def chosen_prompts(prompts: Sequence[Prompt], *, count: int, seed: int) -> list[Prompt]:
    """The prompts to try temperatures on: as many as asked, by the seed, in the order of the file."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    places = dice.sample(range(len(prompts)), min(count, len(prompts)))
    return [prompts[place] for place in sorted(places)]


def compare(candidates: Mapping[float, Sequence[Candidate]], *, finished_only: bool) -> list[Tried]:
    """A line for each temperature, from its candidates of the same prompts.

    A prompt of which nothing can be kept counts as much as the worst that any temperature wrote for it: left out of
    the mean, a temperature that breaks off in the middle of all hard prompts would look the best.
    """
    sorted_out = {temperature: by_prompt(found) for temperature, found in candidates.items()}
    ids = sorted({prompt_id for found in sorted_out.values() for prompt_id in found})
    worst = {
        prompt_id: min(each.score for found in sorted_out.values() for each in found.get(prompt_id, []))
        for prompt_id in ids
    }
    return [_tried(temperature, found, worst, finished_only) for temperature, found in sorted_out.items()]


def best_temperature(tried: Sequence[Tried]) -> float:
    """The one with the highest mean of the best; of equals the lowest, which strays the least."""
    return min(tried, key=lambda each: (-each.mean_best_score, each.temperature)).temperature


def _tried(
    temperature: float, found: Mapping[str, list[Candidate]], worst: Mapping[str, float], finished_only: bool
) -> Tried:
    best: list[float] = []
    means: list[float] = []
    none_usable = 0
    for prompt_id, floor in worst.items():
        all_of_it = found.get(prompt_id, [])
        usable = [each.score for each in all_of_it if each.is_usable(finished_only=finished_only)]
        none_usable += not usable
        best.append(max(usable, default=floor))
        means.append(fmean(each.score for each in all_of_it) if all_of_it else floor)
    return Tried(
        temperature=temperature,
        prompts=len(worst),
        mean_best_score=fmean(best),
        mean_score=fmean(means),
        all_alike=sum(are_all_alike(each) for each in found.values()),
        none_usable=none_usable,
    )
