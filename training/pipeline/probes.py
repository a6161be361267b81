"""What a policy says while it trains: the same few prompts, asked at the start, in between and at the end.

Greedy, so that only the weights can change an answer; and without drawing a random number or leaving anything in the
model, so that training is the same with probes and without. Beside the answers stands how far the policy has moved:
the exact Kullback-Leibler divergence from the start to now, over the whole vocabulary, at each token of the answers
that it gave at the start. (Along its own answers now it would be an estimate with other tokens each time.)
"""

import contextlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase, Trainer, TrainerCallback

from training.pipeline.preferences import Messages
from training.pipeline.repeats import repeats_itself
from training.pipeline.reporting import Reporter
from training.pipeline.resuming import PROBES


@dataclass(frozen=True)
class Said:
    """The answer to one prompt; ``ids`` are its tokens without the padding after its end."""

    ids: list[int]
    text: str


@dataclass(frozen=True)
class Start:
    """What the policy said before the stage, and how likely it held every token there."""

    answers: list[Said]
    # For each answer (tokens, vocabulary), in 16 bits: a quarter of what the vocabulary times the tokens takes in 64.
    log_probs: list[torch.Tensor]


def chosen_prompts(prompts: Sequence[Messages], *, count: int, seed: int) -> list[Messages]:
    """``count`` different prompts of the stage's own, the same ones for the same seed."""
    different = list({json.dumps(prompt): prompt for prompt in prompts}.values())
    return random.Random(seed).sample(different, min(count, len(different)))  # noqa: S311 - no secret


def steps_to_probe(steps: int, probes: int) -> set[int]:
    """The steps after which the policy is asked: ``probes`` of them spread over the stage, and the last."""
    if probes == 0:
        return set()
    return {round(steps * i / (probes + 1)) for i in range(1, probes + 1)} - {0} | {steps}


class Policy:
    """The policy in the middle of its training, asked without being changed."""

    def __init__(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, *, prompts: list[Messages], tokens: int):
        self.trainer = trainer
        self.tokenizer = tokenizer
        self.tokens = tokens
        config = trainer.accelerator.unwrap_model(trainer.model).config.get_text_config()
        room = (getattr(config, "max_position_embeddings", None) or 1 << 30) - tokens
        ids = [tokenizer.apply_chat_template(each, add_generation_prompt=True, return_dict=False) for each in prompts]
        fitting = [i for i, each in enumerate(ids) if len(each) <= room]
        self.prompts = [prompts[i] for i in fitting]
        self.prompt_ids = [ids[i] for i in fitting]

    def answers(self) -> list[Said]:
        """One greedy answer to each prompt, all at once."""
        ids, mask = self._padded(self.prompt_ids, left=True)
        with self._asked() as model:
            given = model.generate(input_ids=ids, attention_mask=mask, generation_config=self._greedy(), use_cache=True)
        return [self._said(row) for row in given[:, ids.shape[1] :].tolist()]

    def log_probs(self, answers: Sequence[Said]) -> list[torch.Tensor]:
        """The log-probability of every token of the vocabulary before each token of these answers."""
        rows = [prompt + answer.ids for prompt, answer in zip(self.prompt_ids, answers, strict=True)]
        ids, mask = self._padded(rows, left=True)  # so that all answers end together
        kept = max(len(answer.ids) for answer in answers) + 1  # the last position says what comes after the answer
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        with self._asked() as model:
            logits = model(input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=kept).logits
        # (tokens, vocabulary) of each
        each = [row[kept - 1 - len(said.ids) : kept - 1] for row, said in zip(logits, answers, strict=True)]
        return [row.float().log_softmax(-1).cpu() for row in each]

    @contextlib.contextmanager
    def _asked(self) -> Iterator[Any]:
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        training = [(module, module.training) for module in model.modules()]
        devices = [model.device] if model.device.type == "cuda" else []
        model.eval()
        try:
            with torch.no_grad(), torch.random.fork_rng(devices), self.trainer.accelerator.autocast():
                yield model
        finally:
            for module, was_training in training:
                module.training = was_training

    def _padded(self, rows: Sequence[list[int]], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """(rows, tokens) of ids, and which of them are no padding."""
        padded = self.tokenizer.pad(
            {"input_ids": list(rows)}, padding_side="left" if left else "right", return_tensors="pt"
        ).to(self.trainer.accelerator.device)
        return padded["input_ids"], padded["attention_mask"]

    def _greedy(self) -> GenerationConfig:
        ends = self.trainer.accelerator.unwrap_model(self.trainer.model).generation_config.eos_token_id
        ends = {*(ends if isinstance(ends, list) else [ends]), self.tokenizer.eos_token_id} - {None}
        return GenerationConfig(
            do_sample=False,
            max_new_tokens=self.tokens,
            eos_token_id=sorted(ends) or None,
            pad_token_id=self.tokenizer.pad_token_id,
        )

    def _said(self, ids: list[int]) -> Said:
        ends = set(self._greedy().eos_token_id or [])
        end = next((i + 1 for i, token in enumerate(ids) if token in ends), len(ids))
        return Said(ids[:end], self.tokenizer.decode(ids[:end], skip_special_tokens=True).strip())


def divergences(start: Sequence[torch.Tensor], now: Sequence[torch.Tensor]) -> list[float]:
    """KL(start || now) of each answer: of sum p_start (log p_start - log p_now) the mean over its tokens, in nats."""
    found = []
    for before, after in zip(start, now, strict=True):
        # Rounded to 16 bits its sum is not quite 1; as a distribution again, no divergence can be below 0.
        before = before.float().log_softmax(-1)
        found.append((before.exp() * (before - after)).sum(-1).mean().item())
    return found


class Probes(TrainerCallback):
    """Asks the policy at chosen steps, before the step is logged, and writes what it says."""

    def __init__(
        self, policy: Policy, *, run_dir: Path, probes: int, reporter: Reporter, say: Callable[[str], None]
    ) -> None:
        self.policy = policy
        self.path = run_dir / PROBES
        self.probes = probes
        self.reporter = reporter
        self.say = say
        self.steps: set[int] = set()
        say("probing")
        answers = policy.answers()
        self.start = Start(answers, [each.half() for each in policy.log_probs(answers)])
        if not self.path.exists():  # else the attempt before has written it
            self._write(0, answers, [0.0] * len(answers))

    def on_train_begin(self, args, state, control, **kwargs):
        self.steps = steps_to_probe(state.max_steps, self.probes)

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step not in self.steps or not state.is_world_process_zero:
            return
        self.say("probing")
        answers = self.policy.answers()
        moved = divergences(self.start.log_probs, self.policy.log_probs(self.start.answers))
        self._write(state.global_step, answers, moved)
        tokens = [len(answer.ids) for answer in self.start.answers]
        self.reporter.found = {
            # Over all tokens, so that a long answer counts as what it is.
            "kl": sum(kl * count for kl, count in zip(moved, tokens, strict=True)) / sum(tokens),
            "probe_tokens": sum(len(answer.ids) for answer in answers) / len(answers),
            "probe_repeats": sum(repeats_itself(answer.text) for answer in answers) / len(answers),
        }
        self.say("training")

    def _write(self, step: int, answers: Sequence[Said], moved: Sequence[float]) -> None:
        rows = [
            {"step": step, "index": index, "prompt": prompt, "text": said.text, "tokens": len(said.ids), "kl": kl}
            for index, (prompt, said, kl) in enumerate(zip(self.policy.prompts, answers, moved, strict=True))
        ]
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
