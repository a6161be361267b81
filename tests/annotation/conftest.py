"""The smallest world in which annotation happens: prompts, a run, its completions, a project."""

import pytest

from annotation import actions
from annotation.models import Role
from sampling.models import Completion, ModelVersion, Prompt, PromptSet, SamplingRun

TEXTS = ["Paris.", "It is **Paris**, of course.", "I do not know.", "Lyon, I think."]


@pytest.fixture
def run(db):
    """A finished sampling run that has no prompt yet; ``write`` fills it."""
    policy = ModelVersion.objects.create(name="policy-0", role="policy", location="models/policy-0")
    run = SamplingRun.objects.create(name="first", prompt_set=PromptSet.objects.create(name="questions"))
    run.policies.add(policy)
    return run


@pytest.fixture
def write(run):
    """write(texts, prompts=1): that many prompts, each answered by these texts."""

    def write(texts=TEXTS, prompts=1, split="train", messages=None):
        policy = run.policies.get()
        start = run.prompt_set.prompts.count()
        for number in range(start, start + prompts):
            prompt = Prompt.objects.create(
                prompt_set=run.prompt_set,
                messages=messages or [{"role": "user", "content": f"Question {number}?"}],
                split=split,
                content_hash=f"{number:064}",
            )
            common = {"run": run, "prompt": prompt, "model_version": policy, "tokens": 3}
            Completion.objects.bulk_create(
                Completion(**common, index=index, text=text, finish_reason="stop") for index, text in enumerate(texts)
            )
        return run.completions.all()

    return write


@pytest.fixture
def project(alice, bob):
    project = actions.create_project(name="Capitals", overlap=1, created_by=alice, guidelines="Prefer *truth*.")
    actions.add_member(project=project, user=bob, role=Role.ANNOTATOR)
    return project


@pytest.fixture
def comparison(project, write):
    """One open comparison of the four TEXTS."""
    actions.open_comparisons(project=project, completions=write(), k=4)
    return project.comparisons.get()


@pytest.fixture
def held(project, comparison, bob):
    """The assignment by which Bob holds the comparison."""
    return actions.claim_next(project=project, annotator=bob)
