"""A prompt set, a policy whose files are there, and a fake engine at the edge."""

import json
import sys
from pathlib import Path

import pytest

from sampling import actions, execution, program_runs
from sampling.models import ModelVersion, Prompt, PromptSet
from sampling.prompt_files import GoodPrompt


@pytest.fixture
def as_alice(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def as_bob(client, bob):
    client.force_login(bob)
    return client


@pytest.fixture(autouse=True)
def var_dir(settings, tmp_path):
    settings.VAR_DIR = tmp_path / "var"
    return settings.VAR_DIR


def make_checkpoint(directory: Path, *, weights: bytes = b"weights", **config) -> Path:
    """The files that make a directory count as a checkpoint."""
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps({"max_position_embeddings": 2048} | config))
    (directory / "model.safetensors").write_bytes(weights)
    return directory


def make_prompts(prompt_set: PromptSet, *texts: str, split: str = "train") -> list[Prompt]:
    """Prompts of one user turn each."""
    good = [GoodPrompt(line, [{"role": "user", "content": text}]) for line, text in enumerate(texts, start=1)]
    return [
        prompt_set.prompts.create(messages=prompt.messages, split=split, content_hash=prompt.content_hash)
        for prompt in good
    ]


@pytest.fixture
def policy(db, tmp_path) -> ModelVersion:
    return actions.register_model(name="smollm2", location=str(make_checkpoint(tmp_path / "smollm2")))


@pytest.fixture
def prompt_set(db) -> PromptSet:
    """Four prompts, the last one for eval."""
    prompts = PromptSet.objects.create(name="everyday")
    make_prompts(prompts, "Why is the sky blue?", "Name three birds.", "What is a lake?")
    make_prompts(prompts, "Say hello.", split="eval")
    return prompts


@pytest.fixture
def fake_engine(monkeypatch):
    """``fake_engine("--hang")`` puts tests/sampling/fake_engine.py with these options in the engine's place."""

    def use(*options: str) -> None:
        program = str(Path(__file__).with_name("fake_engine.py"))
        monkeypatch.setattr(
            execution,
            "engine_argv",
            lambda run_dir: [sys.executable, program, "--run-dir", str(run_dir), *options],
        )

    monkeypatch.setattr("sampling.program_runs.NEWS_SECONDS", 0)
    use()
    return use


@pytest.fixture
def worker_stopping():
    """The event that a worker's SIGTERM sets; cleared again at the end, for the process goes on."""
    yield program_runs.worker_stopping
    program_runs.worker_stopping.clear()


@pytest.fixture
def quick_heart(monkeypatch):
    """Heartbeats ten times a second, so that a test that waits for one does not wait long."""
    monkeypatch.setattr("sampling.program_runs.HEARTBEAT_SECONDS", 0.1)
