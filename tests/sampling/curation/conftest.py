"""A prompt set with something to remove, and a fresh look at a row."""

import pytest

from sampling.curation import actions
from sampling.models import PromptSet
from tests.sampling.curation.prompts import add

COPIES = {"filter": "duplicates", "of": "prompt"}


@pytest.fixture
def everyday(db):
    """Six prompts: one twice but for its case, one of two words, two with a system message."""
    prompt_set = PromptSet.objects.create(name="everyday")
    add(prompt_set, "Why is the sky blue?", topic="physics")
    add(prompt_set, "why is the SKY blue?", topic="physics")
    add(prompt_set, "Say hello.", split="eval")
    add(prompt_set, "Name three birds of Europe.", system="Be brief.", topic="birds")
    add(prompt_set, "Name three birds of Asia.", system="Be brief.", topic="birds")
    add(prompt_set, "What is a lake, in a word?")
    return prompt_set


@pytest.fixture
def looked(everyday, alice):
    """Copies filtered out of the six prompts, as far as the look."""
    curation = actions.create_curation(prompt_set=everyday, steps=[COPIES], created_by=alice, enqueue=False)
    return actions.curate_now(curation=curation)
