"""Scores by a trained reward model: one number a conversation, of which only differences mean anything."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification

from training.pipeline.arguments import can_bf16
from training.pipeline.preferences import Messages
from training.pipeline.trainers import check_model_is_there, load_tokenizer


class Scorer:
    """A reward model that is ready to score."""

    def __init__(self, path: Path | str, *, micro_batch: int = 32) -> None:
        check_model_is_there(str(path))
        self.tokenizer = load_tokenizer(str(path))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = torch.bfloat16 if can_bf16() else torch.float32
        self.model = AutoModelForSequenceClassification.from_pretrained(str(path), dtype=dtype)
        self.model.to(self.device).eval()
        self.micro_batch = micro_batch

    def score(
        self, conversations: Sequence[Messages], *, on_progress: Callable[[int], None] = lambda done: None
    ) -> list[float]:
        """Score conversations that end with a completion; batches are of like length, to pad little."""
        if not conversations:
            return []
        tokens = self.tokenizer.apply_chat_template(list(conversations), return_dict=False)
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        scores = [0.0] * len(tokens)
        for start in range(0, len(order), self.micro_batch):
            batch = order[start : start + self.micro_batch]
            for index, value in zip(batch, self._score_batch([tokens[i] for i in batch]), strict=True):
                scores[index] = value
            on_progress(start + len(batch))
        return scores

    @torch.inference_mode()
    def _score_batch(self, tokens: list[list[int]]) -> list[float]:
        padded = self.tokenizer.pad({"input_ids": tokens}, padding_side="right", return_tensors="pt")
        logits = self.model(**padded.to(self.device), use_cache=False).logits  # (batch, 1)
        return logits.squeeze(-1).float().tolist()
