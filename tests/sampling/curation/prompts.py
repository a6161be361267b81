"""Prompts in a set."""

from sampling.models import Prompt
from sampling.prompt_files import content_hash_of


def add(prompt_set, text, *, system="", split="train", **metadata) -> Prompt:
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": text})
    return prompt_set.prompts.create(
        messages=messages, split=split, metadata=metadata, content_hash=content_hash_of(messages)
    )


def texts(prompt_set):
    return [prompt.messages[-1]["content"] for prompt in prompt_set.prompts.order_by("pk")]
