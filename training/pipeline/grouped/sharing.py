"""Whether an architecture may share a prompt, and be asked for completions alone: seen at the start, by the numbers.

The model as it comes, asked about one completion at a time, is right. What is quicker is used where it says the same,
and where it does not the log says so: a model with a window shorter than a completion, a state that runs along the row
(Mamba), positions that count the row (ALiBi), logits that are bent before the softmax.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from transformers import PreTrainedModel

from sampling.engine.run_dir import RunDirError
from training.pipeline.grouped import attention
from training.pipeline.grouped.heads import answer_rows
from training.pipeline.grouped.plan import Layout, Part
from training.pipeline.grouped.rankings import Ranking, cut, without_padding
from training.pipeline.grouped.rows import Of, Rows, rows_of

# How far a mean over tokens may lie from the model's own, in nats, or what the reward head reads, as a share of its
# length: what rounding does in each type. Not the reward: in bf16 that of SmolLM2 strays as far by rounding (0.05) as
# by positions that are 20 off, where what the head reads strays by 2 % and by 10 %.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.08, torch.float16: 0.02}
CAME_WITH = "_attention_that_it_came_with"
Tensor = torch.Tensor


@dataclass(frozen=True)
class Way:
    """How a model's rows are laid out and attended to."""

    of: Of
    layout: Layout
    flex: bool  # FlexAttention in place of SDPA
    in_chunks: bool  # the head, in tiles

    @property
    def multiple_of(self) -> int:
        return attention.FLEX_BLOCK if self.flex else 1

    def rows(self, part: Part, pad_token_id: int, device: torch.device) -> Rows:
        """The tensors of a part, where the model is."""
        made = rows_of(part, of=self.of, layout=self.layout, pad_token_id=pad_token_id, multiple_of=self.multiple_of)
        made = made.to(device)
        return replace(made, blocks=made.blocks.for_flex(device)) if self.flex and made.blocks else made


def find_way(
    model: PreTrainedModel,
    rankings: Sequence[Ranking],
    *,
    of: Of,
    pad_token_id: int,
    say: Callable[[str], object] = print,
) -> Way:
    """Make ``model`` answer rows, in the quickest way that gives its own numbers; ``say`` is told of what does not.

    The longest completion is asked about, with one that it is compared to. Raises `RunDirError` where no way agrees,
    and where the model itself says something that is not a number.
    """
    asked = _one_pair(max(rankings, key=lambda ranking: ranking.longest))
    dtype = next(model.parameters()).dtype
    own_attention = _as_it_came(model)
    own_forward = model.forward
    with _asked_only(model):
        right = _asked_alone(model, asked, of, pad_token_id)
        if not right.isfinite().all():
            raise RunDirError(
                "What this model says of the longest pair is not a number: a weight of it is none, or it overflows. "
                "Start from another checkpoint."
            )

        def agrees(way: Way) -> str:
            """Why not; empty if it does."""
            model.forward = own_forward
            answer_rows(model, in_chunks=way.in_chunks)
            model.set_attn_implementation(attention.NAME if way.layout == "shared" else own_attention)
            try:
                rows = way.rows(Part((asked,)), pad_token_id, right.device)
                with _read_by_head(model, of) as read:
                    found = model(rows=rows).of_tokens
                return _difference(read[0] if found is None else found, right, rows, dtype)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                return f"{type(error).__name__}: {error}"

        head = _first(
            agrees, [Way(of, "separate", False, True), Way(of, "separate", False, False)], say, "its own head"
        )
        ways = [
            replace(head, layout="shared", flex=flex)
            for flex in (True, False)
            if right.device.type == "cuda" or not flex
        ]
        return _first(agrees, [*ways, head], say, "one row for each completion")


def _first(agrees: Callable[[Way], str], ways: Sequence[Way], say: Callable[[str], object], instead: str) -> Way:
    for way, following in zip(ways, [*ways[1:], None], strict=True):
        if not (why := agrees(way)):
            return way
        now = "SDPA" if following is not None and following.layout == "shared" else instead
        what = "FlexAttention" if way.flex else "sharing the prompt" if way.layout == "shared" else "a head in chunks"
        say(f"This model does not give its own numbers with {what} ({why}). It goes on with {now}.")
    raise RunDirError(
        "This model gives other numbers for a row beside others than for the row alone, so it cannot be trained on "
        "pairs. Choose another architecture."
    )


def _as_it_came(model: PreTrainedModel) -> str:
    """Take back what an earlier question changed; returns the attention that the model came with."""
    if not hasattr(model, CAME_WITH):
        setattr(model, CAME_WITH, model.config._attn_implementation)
    model.__dict__.pop("forward", None)
    model.set_attn_implementation(getattr(model, CAME_WITH))
    return getattr(model, CAME_WITH)


def _asked_alone(model: PreTrainedModel, ranking: Ranking, of: Of, pad: int) -> Tensor:
    """What the model itself says of each completion, nothing beside it: of tokens (N,), or states (C, width)."""
    device = next(model.parameters()).device
    values = []
    for completion in ranking.completions:
        ids = torch.tensor([[*ranking.prompt, *completion]], device=device)
        if of == "rewards":
            with _read_by_head(model, of) as read:
                model(input_ids=ids, attention_mask=torch.ones_like(ids))
            values.append(read[0][0, len(without_padding((*ranking.prompt, *completion), pad)) - 1])
            continue
        kept = (
            {"logits_to_keep": len(completion) + 1}
            if "logits_to_keep" in inspect.signature(model.forward).parameters
            else {}
        )
        logits = model(input_ids=ids, **kept).logits[0, -len(completion) - 1 : -1].float()
        own = ids[0, -len(completion) :, None]
        values.append(logits.log_softmax(-1).gather(-1, own).squeeze(-1))
    return torch.stack(values) if of == "rewards" else torch.cat(values)


def _difference(found: Tensor, right: Tensor, rows: Rows, dtype: torch.dtype) -> str:
    """In words, where it is more than rounding; empty where it is not."""
    if len(rows.targets):  # log-probabilities: by token
        strayed = (found - right).abs()
        of_completions = strayed.new_zeros(rows.completions).index_add(0, rows.owner, strayed) / rows.lengths
        apart = of_completions.max().item()
    else:
        apart = ((found - right).norm(dim=-1) / right.norm(dim=-1)).max().item()
    return "" if apart <= TOLERANCE[dtype] else f"{apart:.2g} apart"


@contextmanager
def _read_by_head(model: PreTrainedModel, of: Of) -> Iterator[list[Tensor]]:
    """Fill a list with what a reward head is given, in 32 bits; of a language model nothing."""
    read: list[Tensor] = []
    if of != "rewards":
        yield read
        return
    hook = model.score.register_forward_pre_hook(lambda module, given: read.append(given[0].float()))
    try:
        yield read
    finally:
        hook.remove()


def _one_pair(ranking: Ranking) -> Ranking:
    """The longest completion of a ranking, with one that it is compared to."""
    return max(cut(ranking, 0), key=lambda each: each.longest)


@contextmanager
def _asked_only(model: PreTrainedModel) -> Iterator[None]:
    """Without gradients and dropout; afterwards the model trains as it did."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)
