"""Six rounds by the OLM schedule, to the letter, on a tiny model: the real programs of every stage, in this process.

What is made small: the model, the data, the lengths, and with them the batch (8 pairs in micro batches of 4), so that a
stage takes more than one step. The stages of each round, rates, epochs, warm-up, the cosine's floor, gradient
checkpointing, what each stage starts from and learns from are the preset's own.
"""

import json
import math
from itertools import pairwise

import pytest
import torch

from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import JudgeKind, Project
from sampling.actions import register_model
from sampling.engine import run_dir as files
from sampling.long_tasks import TaskState
from sampling.models import Completion, ModelVersion, Prompt, PromptSet, SamplingRun, Split
from sampling.prompt_files import GoodPrompt
from tests.annotation.judged import judge, make_project
from tests.tiny_models import save_tiny_policy
from tests.training import in_process
from training import actions
from training.lineage.description import as_json, lineage_of
from training.models import DemonstrationSet, StageKind, TrainingRound

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

ROUNDS = 6
TRAIN, EVAL, K = 12, 6, 4
SMALL = {"batch": 8, "micro_batch": 4, "max_length": 512, "least_rows": 2, "probes": 1, "probe_prompts": 1,
         "probe_tokens": 4}  # fmt: skip
SHORT = {"max_tokens": 12, "max_model_len": 512}
CHANGES = {
    "demonstrations": SMALL,
    "reward_model": SMALL | {"judges": "all"},
    "judge_model": SMALL | {"judges": "all"},
    "rejection_sampling": SHORT | {"candidates": 3, "finished_only": False, "micro_batch": 8},
    "sft": SMALL,
    "dpo": SMALL | {"judges": "all"},
    "evaluate": SHORT | {"n": 1, "resamples": 200},
    "harness": {"limit": 2, "window": 64},
}
LEARNS_FROM_PAIRS = (StageKind.REWARD_MODEL, StageKind.DPO)


@pytest.fixture
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def campaign(settings, tmp_path, monkeypatch, _one_thread):
    """The six rounds, each from what the one before made."""
    settings.VAR_DIR = tmp_path / "var"
    monkeypatch.setattr("training.running.execution.run_program", in_process.run_program)
    policy = register_model(name="tiny-base", location=str(save_tiny_policy(tmp_path / "tiny")))
    project, prompt_set = make_project("Campaign"), make_prompts()
    demonstrations = make_demonstrations(tmp_path / "demonstrations.jsonl")
    previous = None
    for number in range(1, ROUNDS + 1):
        sampled_and_judged(project, prompt_set, policy, number)
        launched = actions.launch_round(
            name=f"olm-{number}",
            base_policy=policy,
            snapshot=freeze_snapshot(project=project, name=f"batch-{number}", kinds=[JudgeKind.SIMULATED]),
            recipe="olm",
            changes=CHANGES,
            seed=number,  # with one seed so small a policy would say the same again in every round
            previous=previous,
            demonstrations=demonstrations if number == 1 else None,
            enqueue=False,
        )
        previous = actions.execute_round(round=launched)
        assert previous.state == TaskState.FINISHED, previous.failure
        policy = previous.policy
    return list(TrainingRound.objects.order_by("number"))


def make_prompts() -> PromptSet:
    prompt_set = PromptSet.objects.create(name="Campaign")
    for number in range(TRAIN + EVAL):
        messages = [{"role": "user", "content": f"Question {number}?"}]
        Prompt.objects.create(
            prompt_set=prompt_set,
            split=Split.TRAIN if number < TRAIN else Split.EVAL,
            messages=messages,
            content_hash=GoodPrompt(0, messages).content_hash,
        )
    return prompt_set


def make_demonstrations(path) -> DemonstrationSet:
    """Sixteen to learn from, and one that answers an eval prompt."""
    rows = [
        [
            {"role": "user", "content": f"Say {number}."},
            {"role": "assistant", "content": f"{number}."},
            {"role": "user", "content": "Again."},
            {"role": "assistant", "content": f"{number}, again."},
        ]
        for number in range(16)
    ]
    rows.append([{"role": "user", "content": f"Question {TRAIN}?"}, {"role": "assistant", "content": "So."}])
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in rows))
    return DemonstrationSet.objects.create(name="shown", location=str(path), content_hash="0", rows=len(rows))


def sampled_and_judged(project: Project, prompt_set: PromptSet, policy: ModelVersion, number: int) -> None:
    """The newest policy writes K completions to every prompt; a rule ranks them: the fewer vowels, the better."""
    run = SamplingRun.objects.create(name=f"batch {number}", prompt_set=prompt_set, n=K, state=TaskState.FINISHED)
    told = {"model": policy.location, "seed": number, "temperature": 1.0, "n": K, "max_tokens": 12}
    for prompt in prompt_set.prompts.order_by("pk"):
        written = in_process._completions(told, {"id": str(prompt.pk), "messages": prompt.messages}, prompt.pk)
        completions = Completion.objects.bulk_create(
            Completion(
                run=run,
                prompt=prompt,
                model_version=policy,
                index=each["index"],
                text=each["text"] or "-",
                tokens=each["tokens"],
                finish_reason=each["finish_reason"],
            )
            for each in written
        )
        comparison = project.comparisons.create(prompt=prompt, content_key=f"{number}-{prompt.pk}")
        comparison.completions.set(completions)
        order = sorted(range(K), key=lambda index: (sum(map(written[index]["text"].count, "aeiou")), index))
        judge(comparison, "sim-vowels", [[index] for index in order], kind=JudgeKind.SIMULATED)


def stage(round: TrainingRound, kind: str):
    return round.stages.get(kind=kind)


def rates(round: TrainingRound, kind: str) -> list[float]:
    return [row["learning_rate"] for row in files.read_metrics(stage(round, kind).run_dir) if "learning_rate" in row]


def cosine(step: int, steps: int, warmup: int, peak: float) -> float:
    """What step ``step`` (from 0) is taken with: linear up over ``warmup``, then a cosine to a tenth of the peak."""
    if step < warmup:
        return peak * step / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return peak * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * share)))


def test_the_campaign_follows_the_olm_schedule_to_the_letter(campaign):
    every_round = ["check", "reward_model", "judge_model", "rejection_sampling", "sft", "evaluate", "harness"]
    for round in campaign:
        kinds = [each.kind for each in round.stages.order_by("position")]
        expected = list(every_round)
        if round.number == 1:
            expected.insert(1, "demonstrations")  # SFT first
        if round.number >= 5:
            expected.insert(expected.index("sft") + 1, "dpo")  # from the fifth round, on top of rejection sampling
        assert kinds == expected, round.name

    for before, after in pairwise(campaign):
        assert after.base_policy == before.policy  # candidates come from the newest policy
        sampling = stage(after, "rejection_sampling").told["inputs"]
        assert sampling["policy"] == before.policy.location

    first, fifth = campaign[0], campaign[4]
    _assert_demonstrations(first)
    assert stage(fifth, "dpo").model_version.parent == stage(fifth, "sft").model_version
    assert fifth.policy == stage(fifth, "dpo").model_version
    assert campaign[3].policy == stage(campaign[3], "sft").model_version

    for round in campaign:
        for kind in ("sft", "dpo") if round.number >= 5 else ("sft",):
            told, result = stage(round, kind).told["recipe"], stage(round, kind).result
            assert (told["learning_rate"], told["epochs"]) == (1e-5, 2 if kind == "dpo" else 1)
            rows = result["pairs" if kind == "dpo" else "rows"]
            steps = math.ceil(rows / 8) * (2 if kind == "dpo" else 1)
            assert result["steps"] == steps
        assert stage(round, "reward_model").result["best"] in _reward_models(campaign, round)
    assert stage(fifth, "dpo").result["first_loss"] == pytest.approx(math.log(2), abs=1e-3)
    for kind in ("sft", "dpo"):
        _assert_rates(campaign[-1], kind, peak=1e-5)
    assert stage(campaign[-1], "dpo").result["steps"] > 10  # else the rates would say little
    _assert_pool(campaign)
    _assert_lineage(campaign)


def _assert_demonstrations(first: TrainingRound) -> None:
    """SFT first: 2e-5, two epochs, a cosine; and all that follows begins with what it made."""
    demonstrations = stage(first, "demonstrations")
    told, shown = demonstrations.told["recipe"], demonstrations.model_version
    assert (told["learning_rate"], told["epochs"], told["lr_schedule"]) == (2e-5, 2, "cosine")
    assert (told["weight_decay"], told["gradient_checkpointing"]) == (0.1, True)
    # 16 of the 17 conversations, for one answers an eval prompt: two steps of eight an epoch, four in two.
    assert (demonstrations.result["rows"], demonstrations.result["steps"]) == (16, 4)
    assert stage(first, "check").result["stages"]["demonstrations"]["dropped"] == {"held_out": 1}
    _assert_rates(first, "demonstrations", peak=2e-5)
    assert demonstrations.told["inputs"]["policy"] == first.base_policy.location
    for kind in ("reward_model", "judge_model", "rejection_sampling", "sft"):
        assert stage(first, kind).told["inputs"]["policy"] == shown.location, kind
    assert stage(first, "sft").model_version.parent == stage(first, "reward_model").model_version.parent == shown


def _assert_rates(round: TrainingRound, kind: str, *, peak: float) -> None:
    """Warmed up over 3 % of the steps but at least 5, and down a cosine to a tenth of the peak."""
    seen, steps = rates(round, kind), stage(round, kind).result["steps"]
    warmup = max(5, math.ceil(0.03 * steps))
    if warmup >= steps:  # it would never get there: so short a stage begins with its rate
        warmup = 0
    assert seen == pytest.approx([cosine(step, steps, warmup, peak) for step in range(steps)], rel=1e-3, abs=1e-12)


def _assert_pool(campaign) -> None:
    """From the second round on the best is chosen from the candidates of all rounds so far."""
    for round in campaign:
        sampling = stage(round, "rejection_sampling")
        assert len(sampling.told["inputs"]["pool"]) == round.number - 1
        assert bool(sampling.result["pooled"]) == (round.number > 1)
        assert stage(round, "check").result["stages"]["sft"]["rows"] == TRAIN  # each prompt once, however often sampled
    kept = {round.number: stage(round, "rejection_sampling").result["from_earlier_rounds"] for round in campaign}
    assert kept[1] == 0
    assert all(kept[number] for number in range(2, ROUNDS + 1)), kept


def _reward_models(campaign, round) -> set[str]:
    return {stage(each, "reward_model").model_version.location for each in campaign if each.number <= round.number}


def _assert_lineage(campaign) -> None:
    """From the sixth policy down to every round's judgments."""
    found = as_json(lineage_of(campaign[-1].policy))
    names = {step["version"]["name"] for step in found["steps"]}
    assert {"tiny-base", "olm-1-demonstrations", "olm-6-dpo"} <= names
    assert {each["snapshot"] for step in found["steps"] for each in step["judgments"]} >= {"batch-5", "batch-6"}
    assert found["judgments"]["by_kind"] == {"simulated": found["judgments"]["judgments"]}
