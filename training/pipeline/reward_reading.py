"""How a reward model reads conversations: those of one prompt in one row, the prompt once; or each in a row of its own.

K candidates of a prompt share most of their tokens, and a reward model is asked about nothing else: sharing the prompt
saves K - 1 readings of it, and nothing is padded (`training.pipeline.grouped`). Not every architecture can; which one
cannot, numbers say (`grouped.sharing`).
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from sampling.engine.run_dir import RunDirError
from training.pipeline.arguments import ENOUGH_ON_A_CPU
from training.pipeline.grouped.plan import Part
from training.pipeline.grouped.rankings import Comparison, Ids, Ranking, longest_shared_start, without_padding
from training.pipeline.grouped.sharing import Way, find_way


@dataclass(frozen=True)
class Text:
    """A conversation that ends with a completion, as a reward model reads it."""

    key: str
    prompt: str  # what it is known by: conversations of one prompt begin with the same tokens
    ids: Ids


class SharedPrompts:
    """One row holds prompts whole, one behind another, each once and before its completions.

    ``longest`` is the length in tokens up to which the model was seen to give its own numbers so.
    """

    def __init__(self, model: PreTrainedModel, way: Way, *, longest: int) -> None:
        self.model = model
        self.way = way
        self.longest = longest

    def ordered(self, texts: Sequence[Text]) -> list[Text]:
        """Those of one prompt side by side; prompts in the order in which they first come."""
        by_prompt: dict[str, list[Text]] = defaultdict(list)
        for text in texts:
            by_prompt[text.prompt].append(text)
        return [text for group in by_prompt.values() for text in group]

    def next_batch(self, texts: Sequence[Text], micro_batch: int) -> list[Text]:
        """The first texts that go through the model together; of a prompt all, where one batch can hold them all.

        At most ``micro_batch`` texts, and no more tokens than that many of the longest have. On a CPU more tokens
        together are no faster: it is given several prompts only up to where they are enough.
        """
        most = micro_batch * self.longest
        enough = most if self.model.device.type == "cuda" else min(most, ENOUGH_ON_A_CPU)
        batch: list[Text] = []
        tokens = 0
        for _, of_prompt in groupby(texts, key=lambda text: text.prompt):
            group = list(of_prompt)
            ends = _tokens_so_far(group)
            count = min(micro_batch, len(list(takewhile(lambda end: end <= most, ends))))
            fits = count == len(group) and len(batch) + count <= micro_batch and tokens + ends[-1] <= enough
            if batch and not fits:
                break
            batch += group[:count]
            tokens += ends[count - 1]
            if count < len(group):
                break
        return batch

    @torch.inference_mode()
    def scores(self, batch: Sequence[Text]) -> list[float]:
        """One of each text, in their order; those of one prompt stand side by side."""
        pad = pad_token_of(self.model)
        groups = [list(group) for _, group in groupby(batch, key=lambda text: text.prompt)]
        part = Part(tuple(_ranking([without_padding(text.ids, pad) for text in group]) for group in groups))
        return self.model(rows=self.way.rows(part, pad, self.model.device)).values.tolist()


class RowEach:
    """Padded rows through the model's own forward: right for any architecture."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model

    def ordered(self, texts: Sequence[Text]) -> list[Text]:
        """Batches are of like length, to pad little."""
        return sorted(texts, key=lambda text: len(text.ids))

    def next_batch(self, texts: Sequence[Text], micro_batch: int) -> list[Text]:
        """The first texts that go through the model together."""
        return list(texts[:micro_batch])

    @torch.inference_mode()
    def scores(self, batch: Sequence[Text]) -> list[float]:
        """One of each text, in their order."""
        # The model's own padding: by another it would not see where a row ends.
        ids = pad_sequence([torch.tensor(text.ids) for text in batch], True, pad_token_of(self.model))
        lengths = torch.tensor([len(text.ids) for text in batch])
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        device = self.model.device
        logits = self.model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).logits  # (B, 1)
        return logits.squeeze(-1).float().tolist()


Reader = SharedPrompts | RowEach


def reader_for(model: PreTrainedModel, texts: Sequence[Text], *, say: Callable[[str], object] = print) -> Reader:
    """What reads these texts, and shorter ones: prompts shared if the model's own numbers come of it.

    It costs about six readings of the longest text; ``say`` is told why where prompts are not shared.
    """
    if not isinstance(getattr(model, "score", None), torch.nn.Module):
        say(
            f"{type(model).__name__} reads each conversation in a row of its own: no head named score tells its scores."
        )
        return RowEach(model)
    pad = pad_token_of(model)
    try:
        way = find_way(model, [_to_compare(texts, pad)], of="rewards", pad_token_id=pad, say=say)
    except RunDirError:  # it is told to trainers, which have no other way
        say("Each conversation is read in a row of its own, as the model does it.")
        return RowEach(model)
    if way.layout == "separate":
        return RowEach(model)
    return SharedPrompts(model, way, longest=max(len(text.ids) for text in texts))


def pad_token_of(model: PreTrainedModel) -> int:
    """The token that transformers' classifiers pass over at the end of a row when they look for where to read."""
    return model.config.get_text_config().pad_token_id


def _ranking(texts: Sequence[Ids]) -> Ranking:
    """Texts of one prompt; all that they begin with is read once, whether it belongs to the prompt or not."""
    start = longest_shared_start(texts)
    return Ranking(texts[0][:start], tuple(text[start:] for text in texts), ())


def _to_compare(texts: Sequence[Text], pad: int) -> Ranking:
    """The longest text beside another of its prompt, or beside itself; half of it at least is a completion."""
    longest = max(texts, key=lambda text: len(text.ids))
    other = next((text for text in texts if text.prompt == longest.prompt and text is not longest), longest)
    pair = [without_padding(text.ids, pad) for text in (longest, other)]
    start = min(longest_shared_start(pair), len(pair[0]) // 2)
    return Ranking(pair[0][:start], tuple(ids[start:] for ids in pair), (Comparison(0, 1),))


def _tokens_so_far(group: Sequence[Text]) -> list[int]:
    """Tokens of a row that holds the first texts of a prompt: the first one, the first two ..."""
    start = longest_shared_start([text.ids for text in group])
    ends, tokens = [], start
    for text in group:
        tokens += len(text.ids) - start
        ends.append(tokens)
    return ends
