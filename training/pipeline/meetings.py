"""Who meets whom in an evaluation: two completions of one prompt, by the new policy and by an opponent. Pure data."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from training.pipeline.completions import Completion, Prompt

Opponent = Literal["old", "base", "published"]
OPPONENTS: tuple[Opponent, ...] = ("old", "base", "published")  # in the order in which they are told
# Whether a judge may be believed: it selected the completions that the new policy learned from, or meets itself.
Independence = Literal["independent", "selected", "takes_part"]


@dataclass(frozen=True)
class Meeting:
    """Two completions of one prompt, by the new policy and by its opponent."""

    prompt: Prompt
    opponent: Opponent
    new: Completion
    other: Completion

    @property
    def is_alike(self) -> bool:
        """Whether both wrote the same: then there is nothing to judge."""
        return self.new.text.strip() == self.other.text.strip()


@dataclass(frozen=True)
class Opinion:
    """What one judge says of meetings: a verdict, and where it has any, the scores behind it, for each."""

    judge: str
    independence: Independence
    meetings: Sequence[Meeting]
    verdicts: Sequence[float]  # 1.0 where the new policy wins, 0.0 where it loses, 0.5 for a tie
    scores: Sequence[tuple[float, float]] | None = None  # of the new policy's completion and the other
    unread: Sequence[bool] | None = None  # the judge gave no verdict that could be read, which counts as a tie

    @property
    def is_independent(self) -> bool:
        return self.independence == "independent"

    def against(self, opponent: Opponent) -> "Opinion":
        """The same opinion on the meetings with one opponent."""
        kept = [i for i, meeting in enumerate(self.meetings) if meeting.opponent == opponent]
        return Opinion(
            judge=self.judge,
            independence=self.independence,
            meetings=[self.meetings[i] for i in kept],
            verdicts=[self.verdicts[i] for i in kept],
            scores=self.scores and [self.scores[i] for i in kept],
            unread=self.unread and [self.unread[i] for i in kept],
        )

    def by_prompt(self) -> list[list[int]]:
        """The positions of each prompt's meetings: a prompt counts once, however many completions it has."""
        positions: dict[str, list[int]] = defaultdict(list)
        for i, meeting in enumerate(self.meetings):
            positions[meeting.prompt.id].append(i)
        return list(positions.values())


def meet(
    prompts: Sequence[Prompt], opponent: Opponent, new: Sequence[Completion], others: Sequence[Completion]
) -> list[Meeting]:
    """Pair the completions by prompt and index; one that has no counterpart meets nobody."""
    return list(_met(prompts, opponent, new, others))


def _met(
    prompts: Sequence[Prompt], opponent: Opponent, new: Sequence[Completion], others: Sequence[Completion]
) -> Iterator[Meeting]:
    by_id = {prompt.id: prompt for prompt in prompts}
    counterparts = {(each.prompt_id, each.index): each for each in others}
    for each in new:
        if other := counterparts.get((each.prompt_id, each.index)):
            yield Meeting(by_id[each.prompt_id], opponent, each, other)
