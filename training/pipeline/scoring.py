"""Scores by a trained reward model: one number a conversation, of which only differences mean anything.

Conversations of one prompt are read together, the prompt once (`training.pipeline.reward_reading`).
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from sampling.checkpoints import is_hub_id
from sampling.engine.run_dir import RunDirError
from training.pipeline.arguments import can_bf16
from training.pipeline.preferences import Messages
from training.pipeline.reward_reading import Reader, SharedPrompts, Text, reader_for
from training.pipeline.score_cache import ScoreCache, key_of
from training.pipeline.trainers import check_model_is_there, load_tokenizer


class Scorer:
    """A reward model that scores what it has not scored before.

    With ``caches``, a folder that all rounds share, what it scored in any round counts as scored; without, what it
    scored itself. The weights are loaded when the first conversation needs them. ``micro_batch`` bounds the memory: so
    many conversations at most are read together, and no more tokens than so many of the longest have.
    """

    def __init__(self, path: Path | str, *, micro_batch: int = 32, caches: Path | str | None = None) -> None:
        self.path = str(path)
        check_model_is_there(self.path)
        self.tokenizer = load_tokenizer(self.path)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = torch.bfloat16 if can_bf16() else torch.float32
        self.micro_batch = micro_batch
        self.from_cache = 0  # conversations whose score was known when they were asked for the first time
        self._model: PreTrainedModel | None = None
        self._reader: Reader | None = None
        self._scores: dict[str, float] = {}  # of this scorer, by key
        self._cache = self._open_cache(caches)

    def score(
        self, conversations: Sequence[Messages], *, on_progress: Callable[[int], None] = lambda done: None
    ) -> list[float]:
        """Score conversations that end with a completion, in any order; those of a prompt are best given at once."""
        if not conversations:
            return []
        rows = self.tokenizer.apply_chat_template(list(conversations), return_dict=False)
        if not all(rows):
            raise RunDirError(f"The chat template of {self.path} gives a conversation no token. Use another template.")
        keys = [_key(ids) for ids in rows]
        self._recall(keys)
        missing = {
            key: Text(key, prompt=repr(messages[:-1]), ids=tuple(ids))
            for key, messages, ids in zip(keys, conversations, rows, strict=True)
            if key not in self._scores
        }
        if missing:
            self._score(list(missing.values()), on_scored=lambda left: on_progress(len(rows) - left))
        else:
            on_progress(len(rows))
        return [self._scores[key] for key in keys]

    def release(self) -> None:
        """Free the memory that the weights take, for another model's; scoring again loads them again."""
        self._model = self._reader = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _score(self, texts: Sequence[Text], *, on_scored: Callable[[int], None]) -> None:
        """Score what was not; ``on_scored`` is told how many are left."""
        self._reader = reader = self._reader_for(texts)
        left = reader.ordered(texts)
        while left:
            batch = reader.next_batch(left, self.micro_batch)
            try:
                scores = self._score_batch(batch)
            except torch.OutOfMemoryError:
                self._take_fewer(len(batch))
                continue
            self._keep([text.key for text in batch], scores)
            del left[: len(batch)]
            on_scored(len(left))

    def _take_fewer(self, rows: int) -> None:
        """Half of what was too much from now on; raises what is being handled where that was one row."""
        if rows == 1:
            raise
        self.micro_batch = rows // 2
        print(f"The GPU ran out of memory: from here on {self.micro_batch} texts are scored together.")

    def _open_cache(self, caches: Path | str | None) -> ScoreCache | None:
        if caches is None or is_hub_id(self.path):  # without reading the hub, nobody knows what a name stands for today
            return None
        # The type too: a machine that computes in 32 bits has other scores.
        return ScoreCache(Path(caches) / "scores" / key_of(self.path, [str(self.dtype)]))

    def _recall(self, keys: Sequence[str]) -> None:
        if self._cache is None:
            return
        for key in dict.fromkeys(keys):
            found = self._cache.get(key)
            if found is not None and key not in self._scores:
                self._scores[key] = found
                self.from_cache += 1

    def _keep(self, keys: Sequence[str], values: Sequence[float]) -> None:
        if spoiled := [value for value in values if not math.isfinite(value)]:
            raise RunDirError(
                f"The reward model {self.path} gives a conversation a score of {spoiled[0]}, so it can choose nothing. "
                "Train it again with a lower learning_rate."
            )
        scored = dict(zip(keys, values, strict=True))
        self._scores |= scored
        if self._cache is not None:
            self._cache.add(scored)

    def _score_batch(self, batch: Sequence[Text]) -> list[float]:
        return self._reader.scores(batch)

    def _reader_for(self, texts: Sequence[Text]) -> Reader:
        """What reads these; found anew where a text is longer than those that the model was compared on."""
        known = self._reader
        longest = max(len(text.ids) for text in texts)
        if known is None or (isinstance(known, SharedPrompts) and longest > known.longest):
            return reader_for(self._loaded(), texts)
        return known

    def _loaded(self) -> PreTrainedModel:
        if self._model is None:
            model = AutoModelForSequenceClassification.from_pretrained(self.path, dtype=self.dtype)
            text_config = model.config.get_text_config()
            if text_config.pad_token_id is None:  # transformers would read no two rows together
                text_config.pad_token_id = self.tokenizer.pad_token_id
            self._model = with_exact_head(model.to(self.device).eval())
        return self._model


def with_exact_head(model: PreTrainedModel) -> PreTrainedModel:
    """Have the last layer, one row of weights, computed in 32 bits whatever the others are.

    A score in bf16 has two or three digits: many a candidate would score exactly as much as its neighbour.
    """
    head = getattr(model, "score", None)
    if head is not None:
        head.float().register_forward_pre_hook(lambda module, given: (given[0].float(),))
    return model


def _key(token_ids: Sequence[int]) -> str:
    """What the reward model reads, and nothing else: the same text under another template is another key."""
    return hashlib.sha256(",".join(map(str, token_ids)).encode()).hexdigest()
