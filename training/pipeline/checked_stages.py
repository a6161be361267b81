"""What the check says of each stage: its rows, steps and memory, and what stands in its way."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import psutil
from transformers import PreTrainedTokenizerBase

from training.pipeline import memory as memories
from training.pipeline.arguments import computes_in_bf16
from training.pipeline.chat_templates import conversation_lengths, mask_problem, training_template
from training.pipeline.checked_rows import Rows
from training.pipeline.completions import Prompt
from training.pipeline.conversations import left_out as named
from training.pipeline.conversations import usable
from training.pipeline.left_out import LeftOut, count_by_reason, shortened
from training.pipeline.preferences import Selection, select, select_held_out
from training.pipeline.schedule import schedule_of
from training.recipe import PairTraining, Recipe, Sampling, Training

FormField = Literal["base_policy", "snapshot", "recipe", "demonstrations"]
NAMES = {
    "demonstrations": "SFT on demonstrations",
    "reward_model": "The reward model",
    "judge_model": "The judge model",
    "rejection_sampling": "Rejection sampling",
    "sft": "SFT",
    "dpo": "DPO",
    "evaluate": "The evaluation",
}
REASONS = {
    "too_long": "longer than it takes",
    "empty": "empty",
    "identical": "with two sides alike",
    "held_out": "that answer an eval prompt",
    "prompt_too_long": "without room for a completion",
}
MUCH = 0.1  # a share of rows that is left out and worth a word
GB = 1e9


@dataclass
class Found:
    """What was found so far; the words are for whoever launches the round."""

    policy: str  # that the round starts from
    problems: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)

    def problem(self, form_field: FormField, message: str) -> None:
        self.problems.append({"field": form_field, "message": message})

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def of(recipe: Recipe) -> list[str]:
    """The stages that there is something to say of."""
    return [stage for stage in recipe.stages if stage in NAMES]


def look_at(stage: str, recipe: Recipe, read: Rows, tokenizer: PreTrainedTokenizerBase, found: Found) -> list[LeftOut]:
    """Say in ``found`` what a stage will do; returns the rows that it leaves out."""
    section = recipe.sections[stage]
    match stage:
        case "demonstrations":
            return _demonstrations(section, read, tokenizer, found)
        case "reward_model" | "dpo":
            return _pairs(section, read, found, train="train", held_out="eval" if stage == "reward_model" else None)
        case "judge_model":
            return _pairs(section, read, found, train="eval", held_out="train")
        case "rejection_sampling":
            return _prompts(section, read.prompts_train, read.prompt_lengths, found)
        case "sft":
            # At most: what is kept of the prompts is known when the candidates are scored.
            _training(section, len(read.prompts_train), [], found, at_most=True)
            return []
        case "evaluate":
            return _prompts(section, read.prompts_eval, read.tokens_of_prompts(read.prompts_eval), found)
        case _:
            raise AssertionError(stage)


def memory(recipe: Recipe, found: Found) -> tuple[int, int]:
    """Bytes that the stage which needs most will take, and those that are free now; 0 for what cannot be told."""
    size, free = memories.size_of(found.policy), _free_bytes()
    sections = [each for each in recipe.sections.values() if isinstance(each, Training)]
    if size is None or not sections:
        return 0, free
    needed: dict[str, float] = {}
    for section in sections:
        bf16 = computes_in_bf16(section)
        fixed = memories.fixed_bytes(section, size, bf16=bf16)
        row = memories.bytes_of_a_row(section, size, bf16=bf16)
        needed[section.stage] = fixed + row * found.stages[section.stage]["micro_batch"]
        if fixed > memories.device_bytes():
            found.problem(
                "recipe",
                f'{NAMES[section.stage]} with method "{section.method}" needs {fixed / GB:.0f} GB for the model alone, '
                f"and this machine has {memories.device_bytes() / GB:.0f} GB. Choose lora or qlora, a smaller policy "
                "or a larger machine.",
            )
    most = max(needed, key=lambda stage: needed[stage])
    if needed[most] > free:
        found.warn(
            f"{NAMES[most]} needs about {needed[most] / GB:.1f} GB of memory, and {free / GB:.1f} GB are free now. End "
            "other programs, or lower micro_batch or max_length in the recipe."
        )
    return int(needed[most]), free


def _demonstrations(section: Training, read: Rows, tokenizer: PreTrainedTokenizerBase, found: Found) -> list[LeftOut]:
    if problem := mask_problem(tokenizer):
        found.problem("base_policy", problem)
    if not read.has_demonstrations:
        message = "The recipe begins with SFT on demonstrations. Choose a set of them, or another recipe."
        found.problem("demonstrations", message)
    template = None if problem else training_template(tokenizer)
    kept = usable(
        read.demonstrations,
        section.max_length,
        lambda each: conversation_lengths(tokenizer, each, chat_template=template),
    )
    left_out = [named(each, "held_out") for each in read.held_out_demonstrations] + kept.left_out
    _training(section, len(kept.conversations), left_out, found)
    if read.has_demonstrations:
        _refuse_too_few(section, len(kept.conversations), left_out, found, "demonstrations", "conversations")
    return left_out


def _pairs(section: PairTraining, read: Rows, found: Found, *, train: str, held_out: str | None) -> list[LeftOut]:
    files = read.pairs[section.judges]
    selection: Selection = select(files[train], section, read.lengths_of)
    _training(section, len(selection.pairs), selection.left_out, found)
    _refuse_too_few(section, len(selection.pairs), selection.left_out, found, "snapshot", "pairs")
    if held_out is None:
        return selection.left_out
    measured = select_held_out(files[held_out], section.max_length, read.lengths_of)
    found.stages[section.stage]["held_out"] = len(measured.pairs)
    if not measured.pairs:
        found.warn(
            f"{NAMES[section.stage]} has no pair to be measured on, so nobody will know its accuracy. Have prompts of "
            "both splits judged."
        )
    return selection.left_out


def _prompts(section: Sampling, prompts: Sequence[Prompt], lengths: Sequence[int], found: Found) -> list[LeftOut]:
    """What is sampled from. The engine skips a prompt that leaves no room for ``max_tokens``."""
    room = section.max_model_len - section.max_tokens
    left_out = [
        LeftOut(
            reason="prompt_too_long",
            prompt_id=prompt.id,
            tokens=length,
            limit=room,
            excerpt=shortened(prompt.messages[-1]["content"]),
        )
        for prompt, length in zip(prompts, lengths, strict=True)
        if length > room
    ]
    rows = len(prompts) - len(left_out)
    found.stages[section.stage] = {"rows": rows, "dropped": count_by_reason(left_out)}
    split = "train" if section.stage == "rejection_sampling" else "eval"
    if not prompts:
        found.problem(
            "snapshot",
            f"{NAMES[section.stage]} samples from {split} prompts, and the snapshot's prompt sets have none. Import "
            f"prompts with the split {split}.",
        )
    elif not rows:
        found.problem(
            "recipe",
            f"{NAMES[section.stage]}: no {split} prompt leaves room for {section.max_tokens} tokens in a max_model_len "
            f"of {section.max_model_len}. Raise it, or lower max_tokens.",
        )
    _warn_of_many(section.stage, left_out, rows, found)
    return left_out


def _training(
    section: Training, rows: int, left_out: Sequence[LeftOut], found: Found, *, at_most: bool = False
) -> None:
    schedule = schedule_of(section, max(rows, 1), micro_batch=_rows_together(section, found.policy))
    found.stages[section.stage] = {
        "rows": rows,
        "dropped": count_by_reason(left_out),
        "steps": schedule.steps if rows else 0,
        "warmup_steps": schedule.warmup_steps if rows else 0,
        "batch": schedule.batch,
        "micro_batch": schedule.micro_batch,
        "accumulation": schedule.accumulation,
    } | ({"at_most": True} if at_most else {})
    _warn_of_many(section.stage, left_out, rows, found)
    if 0 < rows < section.batch:
        few = f"{'at most ' if at_most else ''}{rows} rows, and a step takes {section.batch}"
        found.warn(
            f"{NAMES[section.stage]} has {few}: an epoch is one step, and the whole stage {schedule.steps}. Collect "
            "more, or lower batch in the recipe."
        )


def _rows_together(section: Training, policy: str) -> int:
    """What a device's memory holds; of use where the recipe leaves it to the machine."""
    size = memories.size_of(policy)
    if size is None:
        return 0
    free = memories.OURS * memories.device_bytes()
    return memories.micro_batch_of(section, size, bytes_free=free, bf16=computes_in_bf16(section))


def _refuse_too_few(
    section: Training, rows: int, left_out: Sequence[LeftOut], found: Found, form_field: FormField, what: str
) -> None:
    if rows >= section.least_rows:
        return
    remedy = "Collect more judgments or choose another snapshot"
    if form_field == "demonstrations":
        remedy = "Choose another set"
    found.problem(
        form_field,
        f"{NAMES[section.stage]} needs at least {section.least_rows} {what} and has {rows}"
        f"{_reasons(left_out)}. {remedy}, or lower least_rows in the recipe.",
    )


def _reasons(left_out: Sequence[LeftOut]) -> str:
    counted = ", ".join(f"{number} {reason}" for reason, number in sorted(count_by_reason(left_out).items()))
    return f" ({counted} left out)" if counted else ""


def _warn_of_many(stage: str, left_out: Sequence[LeftOut], rows: int, found: Found) -> None:
    """Of what a recipe asks to leave out (weak strengths, ties) nothing is said: that is no surprise."""
    surprising = {reason: n for reason, n in count_by_reason(left_out).items() if reason in REASONS}
    number = sum(surprising.values())
    if number > MUCH * (number + rows):
        why = ", ".join(f"{n} {REASONS[reason]}" for reason, n in surprising.items())
        found.warn(f"{NAMES[stage]} leaves out {number} of {number + rows} rows: {why}.")


def _free_bytes() -> int:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return int(min(psutil.virtual_memory().available, memories.device_bytes()))
