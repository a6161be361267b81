"""People as judges: the evaluation's completions, opened as blind comparisons in the annotation app.

No completion is written anew: what the judges of the evaluation saw is what people see, the first completion of each
prompt by each policy. Neither page nor address tells annotators which is whose, nor of which round they are. Whoever
opens a test has seen the round's page, and may judge too: so the prompts that it showed are left out, and it shows no
answers until people are done.
"""

import hashlib
import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from django.db import transaction

from annotation import actions as annotation
from annotation.models import Project
from annotation.projects.presets import ARENA
from sampling.completion_intake import CompletionIntake
from sampling.engine.run_dir import RunDirError, read_json_lines
from sampling.execution import COMPLETIONS, policy_dir
from sampling.long_tasks import TaskState
from sampling.models import Completion, ModelVersion, Prompt, SamplingRun, Split
from training.evaluation.standings import Standing, standing, wanted_and_given
from training.models import BlindTest, Stage, StageKind, StageState, TrainingRound
from training.watching import run_files

__all__ = ["BlindTestRefused", "Standing", "open_blind_test", "opponents_of", "shown", "standing"]

# Of prompts whose answers the round's page never showed. With fewer of them, those that it showed are asked too.
ENOUGH_PROMPTS = 10
NAME = "Blind test"

GUIDELINES = """\
Two assistants answered the same request. Say which answer **you** would rather have got.

- Read the whole request first, then both answers to their end.
- An answer that does what was asked, is true and is easy to read is better. A longer one is not better for its length.
- Say that they are equal where you would not mind which one you got, and that both are bad where neither helps.
- You are not told who wrote which, and the order changes from one request to the next: judge each for itself.
- Skip a request that you cannot judge, and say why.
"""


class BlindTestRefused(Exception):
    """No blind test can be opened; the message says why, and what to do."""


def opponents_of(round: TrainingRound) -> list[ModelVersion]:
    """Whom people can compare the new policy with: those whose completions the finished evaluation left."""
    stage = _evaluation(round)
    if round.policy is None or stage is None or not _file(stage, "new").is_file():
        return []
    return [policy for which, policy in _policies(round).items() if _file(stage, which).is_file()]


def _policies(round: TrainingRound) -> dict[str, ModelVersion]:
    """By the evaluation's words: the policy before the round, and the one before the schedule where that is another."""
    base = (round.earlier() or [round])[0].base_policy
    return {"old": round.base_policy} | ({"base": base} if base != round.base_policy else {})


def _evaluation(round: TrainingRound) -> Stage | None:
    return round.stages.filter(kind=StageKind.EVALUATE, state=StageState.FINISHED).first()


def _file(stage: Stage, which: str) -> Path:
    return stage.run_dir / f"completions_{which}.jsonl"


@transaction.atomic
def open_blind_test(
    *, round: TrainingRound, opponent: ModelVersion, created_by: Any, prompts: int | None = None, overlap: int = 1
) -> BlindTest:
    """A project in which people compare the round's policy with ``opponent``; the one that there is, if there is one.

    ``prompts``: at most so many, drawn by their numbers, always the same ones. ``overlap``: how many people judge each.
    Raises BlindTestRefused when the round has no finished evaluation with completions of both.
    """
    # The second half of a double click waits here, and finds the first one's.
    TrainingRound.objects.select_for_update(no_key=True, of=["self"]).get(pk=round.pk)
    if known := BlindTest.objects.filter(round=round, opponent=opponent).first():
        return known
    stage = _evaluation(round)
    if stage is None or opponent not in opponents_of(round):
        raise BlindTestRefused(
            f'Round "{round}" has no completions of its new policy and of "{opponent}" side by side. Wait until its '
            "evaluation has finished, or choose one of the policies that it compared."
        )
    which = next(which for which, policy in _policies(round).items() if policy == opponent)
    rows = _rows_of_both(round, stage, which, prompts)
    project = annotation.create_project(
        name=_free_name(),
        created_by=created_by,
        guidelines=GUIDELINES,
        overlap=overlap,
        **ARENA.settings,
    )
    test = BlindTest.objects.create(round=round, opponent=opponent, project=project, created_by=created_by)
    for number, (prompt_set_id, of_policies) in enumerate(sorted(rows.items())):
        run = _keep(
            test, stage, prompt_set_id, number, {round.policy: of_policies["new"], opponent: of_policies[which]}
        )
        test.sampling_runs.add(run)
    kept = Completion.objects.filter(run__in=test.sampling_runs.all())
    annotation.open_comparisons(project=project, by=created_by, completions=kept, k=2)
    return test


def _free_name() -> str:
    """ "Blind test 3": annotators need to read neither round nor opponent, which would tell them what to expect."""
    taken = set(Project.objects.filter(name__startswith=NAME).values_list("name", flat=True))
    return next(name for number in count(1) if (name := f"{NAME} {number}") not in taken)


def _rows_of_both(
    round: TrainingRound, stage: Stage, which: str, limit: int | None
) -> dict[int, dict[str, list[dict[str, Any]]]]:
    """By prompt set, then by side: the rows of the prompts that both answered and that are still there."""
    sides = {side: _first_of_each_prompt(_file(stage, side)) for side in ("new", which)}
    both = sides["new"].keys() & sides[which].keys()
    sets = dict(Prompt.objects.filter(pk__in=both).values_list("pk", "prompt_set_id"))
    found: dict[int, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for key in _drawn(round, stage, sets)[:limit]:
        for side, rows in sides.items():
            found[sets[key]][side].append(rows[key])
    if not found:
        raise BlindTestRefused(
            f'The evaluation of round "{round}" left no prompt that both policies answered. Run it again with eval '
            "prompts that fit max_model_len."
        )
    return found


def _first_of_each_prompt(path: Path) -> dict[int, dict[str, Any]]:
    try:
        return {int(row["prompt_id"]): row for row in read_json_lines(path) if row["index"] == 0}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BlindTestRefused(
            f"{path.name} of the evaluation cannot be read ({type(error).__name__}: {error}). Run the round's "
            "evaluation again, or clone the round."
        ) from None


def _drawn(round: TrainingRound, stage: Stage, prompt_ids: Iterable[int]) -> list[int]:
    """In an order that is always the same; those that the round's page showed last, or not at all."""
    shown_there = {row.get("prompt_id") for row in run_files.judged_prompts(stage, limit=run_files.SAMPLES_SHOWN)}
    drawn = sorted(prompt_ids, key=lambda key: hashlib.sha256(f"{round.seed} {key}".encode()).hexdigest())
    unseen = [key for key in drawn if str(key) not in shown_there]
    return unseen if len(unseen) >= ENOUGH_PROMPTS else [*unseen, *(key for key in drawn if str(key) in shown_there)]


def _keep(
    test: BlindTest,
    stage: Stage,
    prompt_set_id: int,
    number: int,
    rows: Mapping[ModelVersion, Sequence[Mapping[str, Any]]],
) -> SamplingRun:
    """A sampling run that says how these completions were written, as the evaluation was told; it is over already."""
    told = test.round.recipe[StageKind.EVALUATE.value]
    total = sum(map(len, rows.values()))
    run = SamplingRun.objects.create(
        name=f"Evaluation of {test.round}"[:120],
        prompt_set_id=prompt_set_id,
        split=Split.EVAL,
        n=1,  # the first of the told["n"] that were written
        temperature=told["temperature"],
        top_p=told["top_p"],
        max_tokens=told["max_tokens"],
        seed=test.round.seed,
        state=TaskState.FINISHED,
        started_at=stage.started_at,
        finished_at=stage.finished_at,
        done=total,
        total=total,
        created_by=test.created_by,
        request_key=uuid.uuid5(test.round.request_key, f"blind test {test.opponent_id} {number}"),
    )
    run.policies.set(rows)
    for policy, of_policy in rows.items():
        path = policy_dir(run, policy) / COMPLETIONS
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in of_policy), encoding="utf-8")
        try:
            CompletionIntake(run=run, policy=policy, path=path).take_new()
        except RunDirError as error:
            raise BlindTestRefused(str(error)) from None
    return run


def shown(round: TrainingRound) -> dict[str, Any]:
    """What the round's page shows of its blind tests: those that there are, and with whom there could be one."""
    rows = [_row(test) for test in round.blind_tests.select_related("round", "opponent", "project")]
    met = {row["test"].opponent_id for row in rows}
    return {
        "round": round,
        "blind_tests": rows,
        "blind_opponents": [policy for policy in opponents_of(round) if policy.pk not in met],
        "blind_undecided": any(row["standing"].undecided for row in rows),
        "blind_unfinished": any(row["judgments"]["given"] < row["judgments"]["wanted"] for row in rows),
    }


def is_being_judged(round: TrainingRound) -> bool:
    """Whether people still have judgments to give in a blind test of the round."""
    return any(each["given"] < each["wanted"] for each in map(wanted_and_given, round.blind_tests.all()))


def _row(test: BlindTest) -> dict[str, Any]:
    stands = standing(test)
    return {
        "test": test,
        "standing": stands,
        "rate": {name: _percent(getattr(stands, name)) for name in ("win_rate", "low", "high")},
        "judgments": wanted_and_given(test),
        "annotators": _annotators(test),
    }


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _annotators(test: BlindTest) -> int:
    """Who may judge, besides the one who opened it."""
    return test.project.memberships.exclude(user=test.created_by_id).count()
