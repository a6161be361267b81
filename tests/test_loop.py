"""The whole loop, with real parts: PostgreSQL, vLLM, HTTP, training. Only the queue's message is left out (it has
tests of its own): what a worker would do, is done here in the foreground, as the shell's commands do it."""

import json
import re
import uuid
from pathlib import Path

import pytest
from datasets import load_dataset
from django.urls import reverse

from annotation import actions as annotating
from annotation.datasets import exports, snapshots
from annotation.models import JudgeKind, Project, Role
from annotation.simulated import over_http as simulated_http
from sampling import actions as sampling
from sampling.importing import actions as importing
from sampling.long_tasks import TaskState
from sampling.models import ModelVersion, SamplingRun
from tests.tiny_models import save_tiny_policy
from training import actions as training
from training.demo import loop as demo
from training.lineage.description import lineage_of
from training.models import StageState, TrainingRound

pytestmark = [pytest.mark.slow, pytest.mark.whole_machine, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def installation(settings, tmp_path):
    """A data folder of the test's own."""
    settings.VAR_DIR = tmp_path / "var"
    settings.VAR_DIR.mkdir()
    return settings.VAR_DIR


def prompts_file(path: Path, *, train: int, evaluation: int) -> Path:
    """The demo's first prompts, so many of each split."""
    rows = [json.loads(line) for line in demo.PROMPTS.read_text().splitlines()]
    chosen = [row for row in rows if row["split"] == "train"][:train]
    chosen += [row for row in rows if row["split"] == "eval"][:evaluation]
    path.write_text("".join(json.dumps(row) + "\n" for row in chosen))
    return path


def sampled(*, prompts: Path, policy: ModelVersion, max_tokens: int) -> SamplingRun:
    done = importing.import_now(what="prompts", prompt_set_name="loop", location=str(prompts))
    run = sampling.create_sampling_run(
        prompt_set=done.prompt_set, policies=[policy], n=4, max_tokens=max_tokens, enqueue=False
    )
    sampling.execute_sampling_run(run=run)
    assert run.state == TaskState.FINISHED, run.failure
    return run


def opened(run: SamplingRun, *, overlap: int) -> Project:
    project = annotating.create_project(name="Loop", overlap=overlap, created_by=None)
    annotating.open_comparisons(project=project, completions=run.completions.all(), k=4)
    return project


def rank_everything_in_order(client, project: Project) -> None:
    """A person who prefers what stands first, until the page says that there is nothing left."""
    page = client.get(reverse("annotation:annotate", args=[project.slug])).content.decode()
    while letters := re.findall(r'data-completion="(\w+)"', page):
        answer = {f"rank_{letter}": place for place, letter in enumerate(letters, start=1)}
        answer |= {f"strength_{gap}": "better" for gap in range(1, len(letters))} | {"request_key": uuid.uuid4()}
        action = re.search(r'action="(/assignments/[^"]+/submit/)"', page)[1]
        page = client.post(action, answer, HTTP_HX_REQUEST="true").content.decode()


def trained(*, base: ModelVersion, project: Project, kind: str, recipe: str) -> TrainingRound:
    """Freeze what was judged, and carry out a round."""
    snapshot = snapshots.freeze_snapshot(project=project, name="loop", kinds=[kind])
    round = training.launch_round(name="loop-1", base_policy=base, snapshot=snapshot, recipe=recipe, enqueue=False)
    training.execute_round(round=round)
    assert round.state == TaskState.FINISHED, round.failure
    return round


def assert_every_stage_finished_once(round: TrainingRound) -> None:
    stages = list(round.stages.all())
    assert [stage.kind for stage in stages] == [
        "check", "reward_model", "judge_model", "rejection_sampling", "sft", "dpo", "evaluate", "harness",
    ]  # fmt: skip
    assert {stage.state for stage in stages} == {StageState.FINISHED}
    assert {stage.attempts for stage in stages} == {1}


def test_the_loop_closes_on_a_tiny_model(installation, client, bob, tmp_path):
    tiny = save_tiny_policy(tmp_path / "tiny", hidden_size=64, max_position_embeddings=2048)
    base = sampling.register_model(name="tiny", location=str(tiny))
    run = sampled(prompts=prompts_file(tmp_path / "prompts.jsonl", train=12, evaluation=4), policy=base, max_tokens=12)
    assert run.completions.count() == 16 * 4

    # What a random model writes is all alike to the simulated annotators, so a person ranks here.
    project = opened(run, overlap=1)
    annotating.add_member(project=project, user=bob, role=Role.ANNOTATOR)
    client.force_login(bob)
    rank_everything_in_order(client, project)
    round = trained(base=base, project=project, kind=JudgeKind.PERSON, recipe="smoke")

    assert_every_stage_finished_once(round)
    assert round.policy.parent.parent == base  # DPO on top of SFT on top of the base
    assert 0 <= round.gate_report["conditions"][0]["value"] <= 1
    again = sampling.create_sampling_run(
        prompt_set=run.prompt_set, policies=[base, round.policy], n=1, max_tokens=4, enqueue=False
    )
    sampling.execute_sampling_run(run=again)
    assert again.state == TaskState.FINISHED, again.failure
    assert again.completions.filter(model_version=round.policy).count() == 16


def test_the_loop_closes_on_the_demo_model_and_its_export_is_a_dataset(installation, live_server, tmp_path, demo_model):
    base = sampling.register_model(name="smollm2", location=str(demo_model))
    run = sampled(prompts=prompts_file(tmp_path / "prompts.jsonl", train=20, evaluation=6), policy=base, max_tokens=40)

    project = opened(run, overlap=3)
    simulated_http.annotate(project=project, url=live_server.url)
    recipe = str(short_demo_recipe(tmp_path))
    round = trained(base=base, project=project, kind=JudgeKind.SIMULATED, recipe=recipe)

    assert_every_stage_finished_once(round)
    results = {stage.kind: stage.result for stage in round.stages.all()}
    assert results["dpo"]["first_loss"] == pytest.approx(0.6931, abs=0.002)  # ln 2: it starts at its reference
    assert results["evaluate"]["win_rate_low"] <= results["evaluate"]["win_rate"]
    by_judge = {match["judge"]: match["independent"] for match in results["evaluate"]["matches"]}
    assert by_judge == {"simulated": True, "reward_model": True, "reward_selector": False}
    assert results["harness"]["perplexity_old"] > 1
    assert round.policy.content_hash != base.content_hash
    assert_the_policy_leads_back_to_every_judgment(round)

    exports.write_export(snapshot=round.snapshot, directory=tmp_path / "export", rows="judgment")
    dataset = load_dataset(str(tmp_path / "export"), cache_dir=str(tmp_path / "cache"))
    assert set(dataset) == {"train", "eval"}
    assert set(dataset["train"]["kind"]) == {"simulated"}
    assert len(dataset["train"]) == round.snapshot.counts["pairs_train"]


def assert_the_policy_leads_back_to_every_judgment(round: TrainingRound) -> None:
    """In the graph, and in the card beside the weights."""
    learned = lineage_of(round.policy).judgments
    expected = round.snapshot.judgments.filter(comparison__prompt__split="train")
    assert set(learned.values_list("pk", flat=True)) == set(expected.values_list("pk", flat=True))
    card = (Path(round.policy.location) / "README.md").read_text()
    assert round.snapshot.content_hash[:12] in card
    assert not list(Path(round.policy.location).glob("*.bin"))  # nothing pickled beside the weights


def short_demo_recipe(folder: Path) -> Path:
    """The demo's recipe, for a handful of prompts whose completions are mostly cut off."""
    text = (demo.PROMPTS.parent.parent / "recipes" / "demo.toml").read_text()
    for usual, here in [
        ("max_tokens = 80", "max_tokens = 40"),
        ("candidates = 8", "candidates = 2"),
        ("finished_only = true", "finished_only = false"),
        ("epochs = 3", "epochs = 1"),
        ("[judge_model]", "[judge_model]\nleast_rows = 4"),
    ]:
        assert usual in text, f"demo.toml has no {usual!r} any more"
        text = text.replace(usual, here)
    path = folder / "short.toml"
    path.write_text(text)
    return path
