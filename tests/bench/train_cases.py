"""What `tests.bench.train` trains on: rankings of unequal lengths, drawn with a seed, as whole steps of pairs.

No torch here. Every contender is given the same pairs, in the same steps of whole rankings, each ranking with all of
its K(K-1)/2 pairs.
"""

import itertools
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from training.pipeline.grouped.plan import plan
from training.pipeline.grouped.rankings import Ids, Ranking, TokenPair, group

PROMPTS = Path(__file__).resolve().parents[2] / "training" / "demo" / "prompts.jsonl"
# Of the tokens of a prompt with its completion, those of the prompt.
SHAPES = {"prompt-heavy": 0.8, "balanced": 0.5, "completion-heavy": 1 / 6}
NO_HELP = ("nothing to share", 1 / 16)  # pairs of different prompts, each of which is hardly there
RANKINGS = {2: 4, 4: 2, 9: 1}  # of a step: 4, 12 and 36 pairs, about what the demo takes, and more
# Tokens of a prompt with its completion, in the mean. At K = 9 TRL puts 72 of them through the model for one ranking.
LENGTHS = {2: 120, 4: 120, 9: 40}
SPREAD = 0.5  # a length is drawn from this much below its mean to this much above
STRENGTHS = (0.0, 1 / 3, 2 / 3, 1.0)  # margins, where a case has any
ALL_TOGETHER = 1 << 60  # tokens: which rankings are a step does not depend on what is computed at once

Steps = list[list[TokenPair]]


@dataclass(frozen=True)
class Case:
    """Rankings of K completions; ``prompt`` and ``completion`` are tokens, in the mean."""

    name: str
    k: int
    prompt: int
    completion: int
    rankings: int  # of a step
    precision: str = "auto"
    with_margins: bool = False

    @property
    def pairs(self) -> int:
        """Of a step."""
        return self.rankings * self.k * (self.k - 1) // 2


def cases(kind: str, ks: Iterable[int], *, length: int | None = None, shapes: Iterable[str] = ()) -> list[Case]:
    """Those of DPO or of the reward model, one of them with pairs of different prompts, where grouping should not help.

    Without ``shapes`` all of them at K = 4 of DPO, and elsewhere the balanced one: a quarter of an hour is soon over.
    """
    found = []
    for k in ks:
        usual = SHAPES if k == 4 and kind == "dpo" else ["balanced"]
        found += [_case(name, SHAPES[name], k, length) for name in shapes or usual]
        if k == 2:
            found.append(_case(*NO_HELP, k, length))
    return found


def parity_case() -> Case:
    """Small, in 32 bits and with margins: its losses and gradients are compared."""
    return Case("parity", k=4, prompt=24, completion=12, rankings=2, precision="fp32", with_margins=True)


def words_of(model: Path) -> Ids:
    """The demo's prompts as the model's own tokens, one after another: what lengths are cut from."""
    texts = [json.loads(line)["messages"][-1]["content"] for line in PROMPTS.read_text(encoding="utf-8").splitlines()]
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    return tuple(tokenizer.encode("\n".join(texts), add_special_tokens=False).ids)


def drawn(case: Case, words: Ids, *, steps: int, seed: int) -> Steps:
    """The pairs of each step, in the order in which our own plan has the steps."""
    dice = random.Random(f"{seed} {case}")
    pairs = [pair for _ in range(steps * case.rankings) for pair in _ranking(case, words, dice)]
    planned = plan(group(pairs), batch=case.pairs, tokens=ALL_TOGETHER, layout="shared", seed=seed)
    return [
        _pairs_of(ranking for step in share for part in step.parts for ranking in part.rankings) for share in planned
    ]


def in_any_order(steps: Steps, *, seed: int) -> Steps:
    """Each step's pairs as a shuffled set of data would have them: beside pairs of other prompts."""
    dice = random.Random(seed)
    return [dice.sample(step, len(step)) for step in steps]


def by_length(steps: Steps) -> Steps:
    """Each step's pairs with those of like length beside each other, which are padded least."""
    return [sorted(step, key=lambda pair: longest_of([pair])) for step in steps]


def longest_of(pairs: Iterable[TokenPair]) -> int:
    """Tokens of the longest prompt with its completion."""
    return max(len(pair.prompt) + max(len(pair.chosen), len(pair.rejected)) for pair in pairs)


def _case(name: str, share: float, k: int, length: int | None) -> Case:
    length = length or LENGTHS.get(k, 120)
    prompt = max(2, round(share * length))
    return Case(name, k, prompt, length - prompt, RANKINGS.get(k, 1))


def _ranking(case: Case, words: Ids, dice: random.Random) -> list[TokenPair]:
    prompt = _cut(words, _length(case.prompt, dice), dice)
    completions = [_cut(words, _length(case.completion, dice), dice) for _ in range(case.k)]
    return [
        TokenPair(prompt, better, worse, margin=dice.choice(STRENGTHS) if case.with_margins else 0.0)
        for better, worse in itertools.combinations(completions, 2)
    ]


def _length(mean: int, dice: random.Random) -> int:
    return max(1, dice.randint(round((1 - SPREAD) * mean), round((1 + SPREAD) * mean)))


def _cut(words: Sequence[int], length: int, dice: random.Random) -> Ids:
    start = dice.randrange(len(words))
    return tuple(itertools.islice(itertools.cycle(words), start, start + length))


def _pairs_of(rankings: Iterable[Ranking]) -> list[TokenPair]:
    return [
        TokenPair(ranking.prompt, ranking.completions[pair.chosen], ranking.completions[pair.rejected], pair.margin)
        for ranking in rankings
        for pair in ranking.pairs
    ]
