"""How far a policy has moved from another, in nats a token, measured on what it writes itself.

The mean over completions x of the new policy of (log p_new(x) - log p_old(x)) / tokens(x): an estimate of the KL
divergence a token, which on few completions can come out a little below 0. Both policies are read at a temperature of
1. Completions that were sampled at another one, or from the top of the distribution alone, are no draw from what is
read: then it is the mean log-ratio on these completions and no KL, which whoever shows it has to say. One model is in
memory at a time.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from sampling.engine.run_dir import RunDirError
from training.pipeline.arguments import can_bf16
from training.pipeline.completions import Completion, Prompt
from training.pipeline.trainers import load_tokenizer

# Some ten seconds of the demo's model on two quiet cores, for both policies together.
AT_MOST = 32


@dataclass(frozen=True)
class Divergence:
    """Nats a token, over so many completions."""

    value: float
    completions: int


@dataclass(frozen=True)
class _Read:
    """A conversation in tokens."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


def divergence(
    prompts: Sequence[Prompt], completions: Sequence[Completion], *, new: str, old: str, seed: int
) -> Divergence | None:
    """From ``old`` to ``new`` on at most 32 of the new policy's completions, chosen by the seed.

    None where it cannot be computed: the policies do not read alike, or one cannot be loaded here. A round does not
    fail for a figure of this kind; the log says why it is missing.
    """
    try:
        return _divergence(prompts, completions, new=new, old=old, seed=seed)
    except (RunDirError, OSError, ValueError, RuntimeError) as error:
        print(f"The divergence from the old policy is not measured: {error}", flush=True)
        return None


def _divergence(
    prompts: Sequence[Prompt], completions: Sequence[Completion], *, new: str, old: str, seed: int
) -> Divergence | None:
    usable = [each for each in completions if each.text.strip()]
    chosen = random.Random(seed).sample(usable, min(AT_MOST, len(usable)))  # noqa: S311 - no secret
    messages = {prompt.id: prompt.messages for prompt in prompts}
    conversations = [(messages[each.prompt_id], each) for each in chosen]
    tokens, tokens_old = (_read(load_tokenizer(policy), conversations) for policy in (new, old))
    if not tokens or tokens != tokens_old:
        print("The divergence from the old policy is not measured: the two do not read the completions alike.")
        return None
    of_new, of_old = (_log_probabilities(policy, tokens) for policy in (new, old))
    value = fmean((one - other) / len(each.answer) for one, other, each in zip(of_new, of_old, tokens, strict=True))
    return Divergence(value, len(tokens)) if math.isfinite(value) else None


def _read(tokenizer: PreTrainedTokenizerBase, conversations: Sequence[tuple[list, Completion]]) -> list[_Read]:
    """In tokens; a completion that was not cut off ends with the end of a turn, which the policy wrote too."""
    read = []
    for messages, completion in conversations:
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        answer = tokenizer(completion.text, add_special_tokens=False)["input_ids"]
        has_ended = completion.finish_reason == "stop" and tokenizer.eos_token_id is not None
        end = [tokenizer.eos_token_id] if has_ended else []
        read.append(_Read(tuple(prompt), (*answer, *end)))
    return read


@torch.inference_mode()
def _log_probabilities(policy: str, conversations: Sequence[_Read]) -> list[float]:
    """log p(answer | prompt) of each, summed over its tokens."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if can_bf16() else torch.float32
    model = AutoModelForCausalLM.from_pretrained(policy, dtype=dtype).to(device).eval()
    found = []
    for each in conversations:  # one at a time: without padding, and as fast on a CPU
        tokens = torch.tensor([[*each.prompt, *each.answer]], device=device)
        # What the model says at a position is about the next one.
        logits = model(tokens, use_cache=False).logits[0, len(each.prompt) - 1 : -1].float()  # (answer, vocabulary)
        answer = tokens[0, len(each.prompt) :, None]  # (answer, 1)
        found.append(logits.log_softmax(dim=-1).gather(1, answer).sum().item())
    return found
