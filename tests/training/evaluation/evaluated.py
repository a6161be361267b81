"""A round whose evaluation has finished, made directly in the tables and files, for the tests of blind tests."""

import json

from django.utils import timezone

from annotation.models import DatasetSnapshot, Judgment
from sampling.long_tasks import TaskState
from sampling.models import ModelVersion, Prompt
from tests.annotation.judged import judge
from tests.training.rounds import make_policy, make_prompt
from training.models import BlindTest, Stage, StageKind, StageState, TrainingRound

TOLD = {"n": 2, "temperature": 0.7, "top_p": 0.95, "max_tokens": 64, "max_model_len": 256, "judges": ["simulated"]}


def make_prompts(count: int, *, prompt_set: str = "Questions") -> list[Prompt]:
    return [make_prompt(f"Held-out question {n}?", split="eval", prompt_set=prompt_set) for n in range(count)]


def make_evaluated(
    directory, snapshot: DatasetSnapshot, answers: dict[str, dict[Prompt, str]], *, name: str = "r1", **changes
) -> TrainingRound:
    """``answers``: for "new", "old" and perhaps "base", the first completion of each prompt."""
    old = changes.pop("base_policy", None) or make_policy(directory / "old", "policy-0")
    new = make_policy(directory / f"{name}-new", f"{name}-dpo")
    round = TrainingRound.objects.create(
        name=name, base_policy=old, snapshot=snapshot, recipe_name="smoke", recipe={"evaluate": TOLD}, policy=new,
        state=TaskState.FINISHED, finished_at=timezone.now(), **changes,
    )  # fmt: skip
    stage = Stage.objects.create(
        round=round, kind=StageKind.EVALUATE, position=1, state=StageState.FINISHED,
        started_at=timezone.now(), finished_at=timezone.now(), result={"win_rate": 0.5},
    )  # fmt: skip
    stage.run_dir.mkdir(parents=True)
    for which, of_prompts in answers.items():
        write_completions(stage, which, of_prompts)
    return round


def make_evaluated_on(prompts: list[Prompt], directory, snapshot: DatasetSnapshot, **changes) -> TrainingRound:
    """Of the last prompt, both policies say the same."""
    new = {prompt: f"The new one says {n}." for n, prompt in enumerate(prompts)}
    old = {prompt: f"The old one says {n}." for n, prompt in enumerate(prompts)}
    new[prompts[-1]] = "They agree  on this.\n"
    old[prompts[-1]] = "They agree on this."
    return make_evaluated(directory, snapshot, {"new": new, "old": old}, **changes)


def write_completions(stage: Stage, which: str, answers: dict[Prompt, str]) -> None:
    rows = [
        {
            "prompt_id": str(prompt.pk), "index": index, "text": f"{text}{' (again)' * index}",
            "tokens": len(text.split()), "finish_reason": "stop",
        }
        for index in reversed(range(TOLD["n"]))
        for prompt, text in answers.items()
    ]  # fmt: skip
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (stage.run_dir / f"completions_{which}.jsonl").write_text(lines, encoding="utf-8")


def next_round(directory, round: TrainingRound, answers: dict[str, dict[Prompt, str]]) -> TrainingRound:
    """The round of the schedule after ``round``, from the policy that it made."""
    return make_evaluated(
        directory, round.snapshot, answers, name="r2", base_policy=round.policy, previous=round, number=2
    )


def policies_named(*names: str) -> list[ModelVersion]:
    return list(ModelVersion.objects.filter(name__in=names))


def said(test: BlindTest, number: int, username: str, preferred: str, **more) -> Judgment:
    """``preferred``: "new", "old" or "tie", in the number-th comparison."""
    comparison = test.project.comparisons.order_by("pk")[number]
    is_new = [each.model_version_id == test.round.policy_id for each in comparison.completions.order_by("index", "pk")]
    at = {"new": is_new.index(True), "old": is_new.index(False)}
    both = [0, 1]
    groups = [both] if preferred == "tie" else [[at[preferred]], [1 - at[preferred]]]
    comparison.slots.filter(assignments__isnull=True).delete()  # the judgment brings its own
    return judge(comparison, username, groups, **more)
