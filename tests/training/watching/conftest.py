"""Rounds of a schedule, with the pages' reader signed in."""

from pathlib import Path

import pytest
from django.urls import reverse

from sampling.long_tasks import TaskState
from tests.training import rounds
from training.actions import launch_round

SCHEDULE = str(Path(__file__).parent / "schedule.toml")


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def launch(policy, snapshot, fake_stages, made):
    """launch(name, previous=, changes=): a queued round of the schedule. What it follows is finished for it."""

    def launch(name, *, previous=None, changes=None, recipe=SCHEDULE):
        if previous and not previous.is_over:
            previous.take()
            previous.end(TaskState.FINISHED, policy=made(f"{previous.name}-policy"))
        return launch_round(
            name=name,
            base_policy=previous.policy if previous else policy,
            snapshot=snapshot,
            recipe=recipe,
            changes=changes,
            previous=previous,
            enqueue=False,
        )

    return launch


@pytest.fixture
def whole(launch):
    """A round that has all stages, DPO too."""
    return launch("r1", changes={"dpo": {"rounds": ""}})


@pytest.fixture
def made(tmp_path):
    """made(name): a policy that a round may have made."""
    return lambda name="r1-dpo": rounds.make_policy(tmp_path / "models" / name, name)


def page(round, name="round", *args) -> str:
    return reverse(f"training:{name}", args=[round.pk, *args])


def part(client, url: str, target: str):
    return client.get(url, headers={"HX-Request": "true", "HX-Target": target})
