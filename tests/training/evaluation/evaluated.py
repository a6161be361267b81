"""A round whose evaluation has finished, made directly in the tables and files, for the tests of blind tests."""

import json

from django.utils import timezone

from annotation.models import DatasetSnapshot
from sampling.long_tasks import TaskState
from sampling.models import ModelVersion, Prompt
from tests.training.rounds import make_policy, make_prompt
from training.models import Stage, StageKind, StageState, TrainingRound

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
