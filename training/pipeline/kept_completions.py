"""Completions that any round has sampled already: kept by content, and never sampled a second time.

The old policy of a round is the new one of the round before, and the base meets every one: on the same prompts with
the same parameters and seeds each would write the same again. Known by what decides a completion: the policy's weights
and tokenizer, the sampling parameters, the seed, the prompt. A policy on a hub has no files here to hash, and is
sampled each time.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sampling import checkpoints
from sampling.engine.run_dir import Progress, read_json_lines, write_json_lines
from training.pipeline.completions import Completion, Generate, Prompt, sample
from training.recipe import Sampling

FOLDER = "completions"
# Beside the weights these decide what a policy reads and when it stops.
ALSO_HASHED = ("*.json", "*.jinja", "*.model")


def sample_once(
    directory: Path,
    *,
    caches: str | None,
    policy: str,
    prompts: Sequence[Prompt],
    recipe: Sampling,
    n: int,
    seed: int,
    progress: Progress,
    phase: str,
    generate: Generate,
) -> list[Completion]:
    """As `completions.sample`, of the prompts for which not all n are kept; all that come back are kept."""
    place = _place(caches, policy=policy, recipe=recipe, seed=seed)
    kept = _read(place)
    known = {prompt.id: _known(kept, prompt, n) for prompt in prompts}
    missing = [prompt for prompt in prompts if len(known[prompt.id]) < n]
    new: list[Completion] = []
    if missing:
        new = sample(
            directory,
            policy=policy,
            prompts=missing,
            recipe=recipe,
            n=n,
            seed=seed,
            progress=progress,
            phase=phase,
            generate=generate,
        )
        _keep(place, missing, new)
    asked = {prompt.id for prompt in missing}
    found = [each for prompt in prompts if prompt.id not in asked for each in known[prompt.id]]
    return sorted([*found, *new], key=lambda completion: (completion.prompt_id, completion.index))


Kept = dict[tuple[str, int], Completion]  # by the prompt's hash and the completion's index


def _place(caches: str | None, *, policy: str, recipe: Sampling, seed: int) -> Path | None:
    """The file of this policy's completions with these parameters; None where nothing can be kept."""
    if not caches or checkpoints.is_hub_id(policy) or not Path(policy).is_dir():
        return None
    parameters = [recipe.temperature, recipe.top_p, recipe.max_tokens, recipe.max_model_len, seed]
    digest = hashlib.sha256(json.dumps(parameters).encode())
    digest.update(checkpoints.inspect(policy).content_hash.encode())
    for path in sorted({path for pattern in ALSO_HASHED for path in Path(policy).glob(pattern)}):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return Path(caches) / FOLDER / f"{digest.hexdigest()}.jsonl"


def _read(place: Path | None) -> Kept:
    if place is None or not place.is_file():
        return {}
    rows: list[dict[str, Any]] = list(read_json_lines(place))
    return {(row.pop("prompt"), row["index"]): Completion(**row) for row in rows}


def _known(kept: Kept, prompt: Prompt, n: int) -> list[Completion]:
    name = _hash(prompt)
    return [kept[name, index] for index in range(n) if (name, index) in kept]


def _keep(place: Path | None, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> None:
    """Add to the file, whole by a rename: of two rounds that write at once one is lost, and only its work with it."""
    if place is None:
        return
    names = {prompt.id: _hash(prompt) for prompt in prompts}
    kept = _read(place) | {(names[each.prompt_id], each.index): each for each in completions}
    place.parent.mkdir(parents=True, exist_ok=True)
    write_json_lines(place, ({"prompt": name} | asdict(each) for (name, _), each in kept.items()))


def _hash(prompt: Prompt) -> str:
    # The id too: a completion's seed comes from it.
    return hashlib.sha256(json.dumps([prompt.id, prompt.messages]).encode()).hexdigest()
