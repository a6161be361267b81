"""A small judged project, made directly in the tables, for the tests of snapshots and exports."""

import uuid
from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from annotation.models import (
    Assignment,
    AssignmentPurpose,
    AssignmentState,
    Comparison,
    JudgeKind,
    Judgment,
    Project,
    Purpose,
    Slot,
)
from sampling.models import Completion, ModelRole, ModelVersion, Origin, Prompt, PromptSet, SamplingRun


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
    is_decision: bool = False,
    marks: dict[int, dict] | None = None,
    edit: str = "",
    **more,
) -> Judgment:
    """``username`` ranks the completions, named by their position 0..K-1 in the comparison.

    ``marks`` is by position as well. With ``edit``, the text of a better answer than 0, the last position is its.
    """
    user = make_user(username)
    ids = list(comparison.completions.order_by("index", "pk").values_list("pk", flat=True))
    places = [*ids, _edited(comparison, user, ids[0], edit).pk] if edit else ids
    revision = supersedes.revision + 1 if supersedes else 1
    purpose = AssignmentPurpose.REVIEW if is_decision else AssignmentPurpose(comparison.purpose)
    return Judgment.objects.create(
        comparison=comparison,
        annotator=user,
        assignment=supersedes.assignment if supersedes else _submitted_assignment(comparison, user, ids, purpose),
        kind=kind,
        is_decision=is_decision,
        ranking=[[places[position] for position in group] for group in ranking],
        strengths=["better"] * (len(ranking) - 1) if strengths is None else strengths,
        marks={str(ids[position]): mark for position, mark in (marks or {}).items()},
        revision=revision,
        supersedes=supersedes,
        request_key=uuid.uuid4(),
        **more,
    )


def known(comparison: Comparison, purpose: str = Purpose.GOLD) -> Comparison:
    """The comparison as one with a known answer: its completions in their own order."""
    ids = comparison.completions.order_by("index").values_list("pk", flat=True)
    comparison.purpose, comparison.known_ranking = purpose, [[pk] for pk in ids]
    comparison.save()
    return comparison


def _edited(comparison: Comparison, user: User, edit_of: int, text: str) -> Completion:
    return Completion.objects.create(
        origin=Origin.PERSON,
        edit_of_id=edit_of,
        written_by=user,
        text=text,
        prompt=comparison.prompt,
        finish_reason="stop",
    )


def _submitted_assignment(comparison: Comparison, user: User, ids: list[int], purpose: str) -> Assignment:
    slot = None
    if purpose == AssignmentPurpose.WORK:
        slot = Slot.objects.create(
            comparison=comparison,
            project=comparison.project,
            number=comparison.slots.count() + 1,
            is_filled=True,
            free_from=timezone.now(),
        )
    return Assignment.objects.create(
        slot=slot,
        purpose=purpose,
        comparison=comparison,
        annotator=user,
        display_order=ids,
        state=AssignmentState.SUBMITTED,
        leased_until=timezone.now() + timedelta(minutes=10),
    )
