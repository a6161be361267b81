"""A small judged project, made directly in the tables, for the tests of snapshots and exports."""

import uuid
from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from annotation.models import Assignment, AssignmentState, Comparison, JudgeKind, Judgment, Project, Slot
from sampling.models import Completion, ModelRole, ModelVersion, Prompt, PromptSet, SamplingRun


def make_project(name: str = "Demo") -> Project:
    return Project.objects.create(name=name, slug=name.lower().replace(" ", "-"), overlap=3)


def make_user(username: str, **more) -> User:
    return User.objects.get_or_create(username=username, defaults=more)[0]


def make_comparison(
    project: Project, texts: list[str], *, question: str = "What is jam?", split: str = "train"
) -> Comparison:
    """A prompt of its own with these completions, not judged by anybody yet."""
    prompt_set, _ = PromptSet.objects.get_or_create(name="Questions")
    policy, _ = ModelVersion.objects.get_or_create(name="tiny", role=ModelRole.POLICY, location="tiny")
    run, _ = SamplingRun.objects.get_or_create(name="First", prompt_set=prompt_set)
    prompt = Prompt.objects.create(
        prompt_set=prompt_set,
        split=split,
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}],
        content_hash=uuid.uuid4().hex,
    )
    comparison = Comparison.objects.create(project=project, prompt=prompt, content_key=uuid.uuid4().hex)
    comparison.completions.set(
        Completion.objects.create(
            run=run,
            prompt=prompt,
            model_version=policy,
            index=index,
            text=text,
            tokens=3,
            finish_reason="stop",
        )
        for index, text in enumerate(texts)
    )
    return comparison


def judge(
    comparison: Comparison,
    username: str,
    ranking: list[list[int]],
    strengths: list[str] | None = None,
    *,
    kind: str = JudgeKind.PERSON,
    supersedes: Judgment | None = None,
) -> Judgment:
    """``username`` ranks the completions, named by their position 0..K-1 in the comparison."""
    user = make_user(username)
    ids = list(comparison.completions.order_by("index").values_list("pk", flat=True))
    revision = supersedes.revision + 1 if supersedes else 1
    return Judgment.objects.create(
        comparison=comparison,
        annotator=user,
        assignment=supersedes.assignment if supersedes else _submitted_assignment(comparison, user, ids),
        kind=kind,
        ranking=[[ids[position] for position in group] for group in ranking],
        strengths=["better"] * (len(ranking) - 1) if strengths is None else strengths,
        revision=revision,
        supersedes=supersedes,
        request_key=uuid.uuid4(),
    )


def _submitted_assignment(comparison: Comparison, user: User, ids: list[int]) -> Assignment:
    slot = Slot.objects.create(
        comparison=comparison,
        project=comparison.project,
        number=comparison.slots.count() + 1,
        is_filled=True,
        free_from=timezone.now(),
    )
    return Assignment.objects.create(
        slot=slot,
        comparison=comparison,
        annotator=user,
        display_order=ids,
        state=AssignmentState.SUBMITTED,
        leased_until=timezone.now() + timedelta(minutes=10),
    )
