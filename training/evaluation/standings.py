"""How a blind test stands: what people said, counted by prompt, with an interval. No numpy: this is for web pages."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from django.db.models import Exists, OuterRef

from annotation.models import Comparison, JudgeKind, Judgment, Slot
from annotation.rules.ranking import places, relation
from sampling.models import Completion
from training.models import BlindTest
from training.pipeline.win_intervals import win_interval


@dataclass(frozen=True)
class Standing:
    """The new policy against its opponent, prompt by prompt. The rate is null until somebody has judged."""

    wins: int
    ties: int  # with those that are alike
    losses: int
    alike: int  # prompts that both answered in the same words, of which nobody is asked
    undecided: int  # prompts that nobody has judged yet
    win_rate: float | None
    low: float | None
    high: float | None

    @property
    def prompts(self) -> int:
        return self.wins + self.ties + self.losses + self.undecided

    @property
    def judged(self) -> int:
        """Prompts of which people said something."""
        return self.wins + self.ties + self.losses - self.alike


def standing(blind_test: BlindTest) -> Standing:
    """What people say, and nobody else; a reviewer's decision stands for all that annotators said of its prompt.

    A prompt counts once however many people judged it, with the mean of what they said: 1 for the new policy, 0 for
    the other, a half for a tie. While some are undecided, the prompts that are alike weigh in the rate only as much
    as the decided ones do among those that differ.
    """
    verdicts = _verdicts(blind_test)
    runs = blind_test.sampling_runs.all()
    prompts = Completion.objects.filter(run__in=runs).order_by().values("prompt").distinct().count()
    opened = _comparisons(blind_test)
    differing = opened.count()
    asked = blind_test.project.comparisons.filter(completions__run__in=runs).order_by().values("prompt")
    alike = prompts - asked.distinct().count()
    share = len(verdicts) / differing if differing else 1.0
    counted = [*verdicts, *[0.5] * round(alike * share)] if verdicts or not differing else []
    low, high = win_interval(counted) if counted else (None, None)
    return Standing(
        wins=sum(verdict > 0.5 for verdict in verdicts),
        ties=sum(verdict == 0.5 for verdict in verdicts) + alike,
        losses=sum(verdict < 0.5 for verdict in verdicts),
        alike=alike,
        undecided=differing - len(verdicts),
        win_rate=fmean(counted) if counted else None,
        low=low,
        high=high,
    )


def wanted_and_given(blind_test: BlindTest) -> dict[str, int]:
    """The judgments of people that the project is to have, and those that it has."""
    of_others = Judgment.objects.exclude(kind=JudgeKind.PERSON).filter(assignment__slot=OuterRef("pk"))
    slots = Slot.objects.filter(~Exists(of_others), comparison__in=_comparisons(blind_test), is_parked=False)
    return {"wanted": slots.count(), "given": slots.filter(is_filled=True).count()}


def _comparisons(blind_test: BlindTest):
    """The test's own, and not what else somebody opened in its project."""
    runs = blind_test.sampling_runs.all()
    return Comparison.objects.work().filter(project=blind_test.project, completions__run__in=runs).distinct()


def _verdicts(blind_test: BlindTest) -> list[float]:
    """One for each comparison that people have judged."""
    judgments = Judgment.objects.current().of_work()
    judgments = judgments.filter(kind=JudgeKind.PERSON, comparison__in=_comparisons(blind_test))
    said: dict[int, dict[bool, list[float]]] = defaultdict(lambda: defaultdict(list))
    new, old = (_ids_of(blind_test, policy) for policy in (blind_test.round.policy_id, blind_test.opponent_id))
    for comparison, is_decision, ranking in judgments.values_list("comparison_id", "is_decision", "ranking"):
        said[comparison][is_decision].append(verdict(ranking, new=new, old=old))
    return [fmean(of_one[True] or of_one[False]) for of_one in said.values()]


def _ids_of(blind_test: BlindTest, policy_id: int) -> frozenset[int]:
    written = Completion.objects.filter(run__in=blind_test.sampling_runs.all(), model_version=policy_id)
    return frozenset(written.values_list("pk", flat=True))


def verdict(ranking: Sequence[Sequence[int]], *, new: frozenset[int], old: frozenset[int]) -> float:
    """1 where the completion of ``new`` is above that of ``old``, 0 where it is below, a half where they are tied.

    What an annotator wrote themselves, where the project takes that, has a place too and says nothing of either.
    """
    at = places(ranking)
    (mine,) = [place for pk, place in at.items() if pk in new]
    (other,) = [place for pk, place in at.items() if pk in old]
    return {-1: 1.0, 0: 0.5, 1: 0.0}[relation(mine, other)]
