"""What the check says of each stage: its rows, steps and memory, and what stands in its way."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

import psutil
from transformers import PreTrainedTokenizerBase

from training.pipeline import memory as memories
from training.pipeline.arguments import computes_in_bf16
from training.pipeline.chat_templates import conversation_lengths, mask_problem, training_template
from training.pipeline.checked_rows import Rows
from training.pipeline.completions import Prompt
from training.pipeline.conversations import usable
from training.pipeline.left_out import LeftOut, count_by_reason, counted_in_words, shortened
from training.pipeline.preferences import Selection, among_held_out, select, select_held_out
from training.pipeline.schedule import schedule_of, warning_of
from training.recipe import PairTraining, Recipe, RejectionSampling, Sampling, Training

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
# Reasons that nobody asked for: of weak strengths and ties, which a recipe leaves out, nothing is said.
NOT_BY_PEOPLE = "not_judged_by_people"
SURPRISING = ("too_long", "empty", "identical", "held_out", "prompt_too_long", NOT_BY_PEOPLE)
# Of max_tokens: the text of a completion that was cut off is, tokenised again, a token or two shorter.
AT_THE_LIMIT = 0.95
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
            kept_out = read.kept_out.prompts
            _warn_of_cut_off(section, read.judged_lengths, found)
            return _prompts(section, read.prompts_train, read.prompt_lengths, found, kept_out=kept_out)
        case "sft":
            # At most: what is kept of the prompts is known when the candidates are scored.
            _training(section, len(read.prompts_train) + len(read.pool), [], found, at_most=True)
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
        if needed[section.stage] > memories.device_bytes():
            found.problem("recipe", _no_room(section, needed[section.stage], fixed))
    most = max(needed, key=lambda stage: needed[stage])
    if needed[most] > free:
        found.warn(
            f"{NAMES[most]} needs about {needed[most] / GB:.1f} GB of memory, and {free / GB:.1f} GB are free now. End "
            "other programs, or lower micro_batch or max_length in the recipe."
        )
    return int(needed[most]), free


def _no_room(section: Training, needed: float, fixed: float) -> str:
    """What to say where this machine's whole memory is too little for a stage; ``fixed``: the model's part of it."""
    whole = memories.device_bytes()
    begins = f'{NAMES[section.stage]} with method "{section.method}" needs '
    has = f"and this machine has {whole / GB:.1f} GB. "
    if fixed > whole:
        return (
            f"{begins}{fixed / GB:.1f} GB for the model alone, {has}Choose lora or qlora, a smaller policy or a larger "
            "machine."
        )
    return (
        f"{begins}about {needed / GB:.1f} GB, {has}Lower micro_batch or max_length, set gradient_checkpointing, or "
        "choose a smaller policy or a larger machine."
    )


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
    left_out = read.kept_out.demonstrations + kept.left_out
    _training(section, len(kept.conversations), left_out, found)
    if read.has_demonstrations:
        _refuse_too_few(section, len(kept.conversations), left_out, found, "demonstrations", "conversations")
    return left_out


def _pairs(section: PairTraining, read: Rows, found: Found, *, train: str, held_out: str | None) -> list[LeftOut]:
    files = read.pairs[section.judges]
    selection: Selection = select(files[train], section, read.lengths_of)
    left_out = read.kept_out.undecided_of(section, train) + selection.left_out
    if train == "train":
        left_out += read.kept_out.pairs_of(section)
    prompts = {repr(pair.prompt) for pair in selection.pairs}
    _training(section, len(selection.pairs), left_out, found, rankings=len(prompts))
    _refuse_too_few(section, len(selection.pairs), left_out, found, "snapshot", "pairs")
    if held_out is None:
        return left_out
    measured = select_held_out(files[held_out], section, read.lengths_of)
    others = among_held_out(read.kept_out.undecided_of(section, held_out) + measured.left_out)
    found.stages[section.stage]["held_out"] = len(measured.pairs)
    found.stages[section.stage]["dropped"] |= count_by_reason(others)
    if not measured.pairs:
        found.warn(
            f"{NAMES[section.stage]} has no pair to be measured on, so nobody will know its accuracy. Have prompts of "
            "both splits judged."
        )
    return left_out + others


def _prompts(
    section: Sampling,
    prompts: Sequence[Prompt],
    lengths: Sequence[int],
    found: Found,
    *,
    kept_out: Sequence[LeftOut] = (),
) -> list[LeftOut]:
    """What is sampled from. The engine skips a prompt that leaves no room for ``max_tokens``."""
    room = section.max_model_len - section.max_tokens
    too_long = [
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
    left_out = [*kept_out, *too_long]
    rows = len(prompts) - len(too_long)
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


def _warn_of_cut_off(section: RejectionSampling, lengths: Sequence[int], found: Found) -> None:
    """``lengths``: of the completions that were judged, from which the candidates will hardly differ."""
    if not lengths or median(lengths) < AT_THE_LIMIT * section.max_tokens:
        return
    loses = " A candidate that is cut off is not kept (finished_only), and many prompts will have none left."
    found.warn(
        f"Most completions are cut off at {section.max_tokens} tokens: half of those that were judged have "
        f"{median(lengths):,.0f} or more.{loses if section.finished_only else ''} Raise max_tokens of "
        "[rejection_sampling] and of [evaluate]."
    )


def _training(
    section: Training,
    rows: int,
    left_out: Sequence[LeftOut],
    found: Found,
    *,
    at_most: bool = False,
    rankings: int | None = None,
) -> None:
    """``rankings``: the prompts of pairs, which a step takes whole."""
    schedule = schedule_of(
        section,
        max(rows, 1),
        micro_batch=_rows_together(section, found.policy),
        rankings=None if rankings is None else max(rankings, 1),
    )
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
    if rows and (short := _short(section, rows, warning_of(schedule), at_most=at_most)):
        found.warn(f"{NAMES[section.stage]} has {short}")


def _short(section: Training, rows: int, few_steps: str | None, *, at_most: bool) -> str | None:
    """What to say of a stage with hardly any steps; None where there are enough."""
    if rows >= section.batch:
        return few_steps
    few = f"{'at most ' if at_most else ''}{rows} rows, and a step takes {section.batch}: an epoch is one step"
    return f"{few}. Collect more, or lower batch in the recipe." if few_steps is None else f"{few}, {few_steps}"


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
    elif any(each.reason == NOT_BY_PEOPLE for each in left_out):
        remedy += f', let simulated and model judges count too by the change {section.stage}.judges = "all"'
    found.problem(
        form_field,
        f"{NAMES[section.stage]} needs at least {section.least_rows} {what} and has {rows}"
        f"{_reasons(left_out)}. {remedy}, or lower least_rows in the recipe.",
    )


def _reasons(left_out: Sequence[LeftOut]) -> str:
    counted = counted_in_words(count_by_reason(left_out))
    return f" ({counted} left out)" if counted else ""


def _warn_of_many(stage: str, left_out: Sequence[LeftOut], rows: int, found: Found) -> None:
    surprising = {reason: n for reason, n in count_by_reason(left_out).items() if reason in SURPRISING}
    number = sum(surprising.values())
    if number > MUCH * (number + rows):
        found.warn(f"{NAMES[stage]} leaves out {number} of {number + rows} rows: {counted_in_words(surprising)}.")


def _free_bytes() -> int:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return int(min(psutil.virtual_memory().available, memories.device_bytes()))
