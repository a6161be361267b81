"""A comparison as JSON for reviewers: completions and every judgment by letters that are the same for all."""

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from annotation.datasets.export_rows import pseudonym
from annotation.models import Comparison, JudgeKind, Judgment, Purpose
from annotation.review import listing
from annotation.rules.letters import fixed_letters
from annotation.task.own_answers import beginning_of
from sampling.models import Completion


class ComparisonShort(serializers.Serializer):
    id = serializers.IntegerField()
    project = serializers.IntegerField()
    page = serializers.CharField()
    prompt = serializers.IntegerField()
    asks = serializers.CharField(allow_blank=True, help_text="The beginning of what was asked last.")
    purpose = serializers.ChoiceField(choices=Purpose.choices)
    group = serializers.CharField(allow_blank=True)
    priority = serializers.IntegerField()
    wanted = serializers.IntegerField(help_text="How many judgments it is to have.")
    judgments = serializers.IntegerField(help_text="Given here by annotators.")
    imported = serializers.IntegerField()
    decisions = serializers.IntegerField()
    flags = serializers.IntegerField(help_text="Open ones.")
    skips = serializers.IntegerField()
    disagreement = serializers.FloatField(help_text="0 to 1: the share of pairs on which annotators differ.")
    withdrawn_at = serializers.DateTimeField(allow_null=True)
    data_import = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class Lettered(serializers.Serializer):
    letter = serializers.CharField()
    text = serializers.CharField(allow_blank=True)
    completion = serializers.IntegerField(allow_null=True, help_text="Its id, where policies were asked for.")
    policy = serializers.CharField(allow_null=True, allow_blank=True)


class JudgedInLetters(serializers.Serializer):
    id = serializers.IntegerField()
    annotator = serializers.CharField(help_text="A pseudonym.")
    kind = serializers.ChoiceField(choices=JudgeKind.choices)
    is_decision = serializers.BooleanField()
    ranking = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Letters, best first; A+ is the annotator's own edit of A.",
    )
    strengths = serializers.ListField(child=serializers.CharField())
    marks = serializers.DictField(child=serializers.DictField(), help_text="By letter.")
    edits = serializers.DictField(child=serializers.CharField(), help_text="By its name, such as A+.")
    all_bad = serializers.BooleanField()
    rationale = serializers.CharField(allow_blank=True)
    seconds_spent = serializers.FloatField(allow_null=True)
    revision = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class ComparisonShown(ComparisonShort):
    messages = serializers.ListField(child=serializers.DictField(child=serializers.CharField(allow_blank=True)))
    completions = Lettered(many=True)
    given = JudgedInLetters(many=True, help_text="The newest revision of each judgment.")
    known_ranking = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()), allow_null=True, help_text="Of what is not work."
    )
    explanation = serializers.CharField(allow_blank=True)


def short(row: listing.Row) -> dict[str, Any]:
    comparison = row.comparison
    plain = ("purpose", "group", "priority", "wanted", "withdrawn_at", "created_at")
    counted = ("judgments", "imported", "decisions", "flags", "skips")
    return {
        "id": comparison.pk,
        "project": comparison.project_id,
        "page": reverse("annotation:comparison", args=[comparison.pk]),
        "prompt": comparison.prompt_id,
        "asks": beginning_of(comparison.prompt.messages),
        "disagreement": row.disagreement.share,
        "data_import": comparison.data_import_id,
        **{name: getattr(comparison, name) for name in plain},
        **{name: getattr(row, name) for name in counted},
    }


def full(comparison: Comparison, *, with_policies: bool = False) -> dict[str, Any]:
    (row,) = listing.rows([comparison.pk], JudgeKind.PERSON)
    completions = list(comparison.completions.select_related("model_version"))
    letters = fixed_letters(comparison.content_key, (each.pk for each in completions))
    is_work = comparison.purpose == Purpose.WORK
    return ComparisonShown(
        {
            **short(row),
            "messages": comparison.prompt.messages,
            "completions": [
                {
                    "letter": letters[each.pk],
                    "text": each.text,
                    "completion": each.pk if with_policies else None,
                    "policy": str(each.model_version or each.written_by_model) if with_policies else None,
                }
                for each in sorted(completions, key=lambda each: letters[each.pk])
            ],
            "given": _given(comparison, letters),
            "known_ranking": None if is_work else _named(comparison.known_ranking, letters),
            "explanation": "" if is_work else row.comparison.explanation,
        }
    ).data


def _given(comparison: Comparison, letters: dict[int, str]) -> list[dict[str, Any]]:
    judgments = list(Judgment.objects.current().filter(comparison=comparison).order_by("pk"))
    placed = {pk for judgment in judgments for group in judgment.ranking for pk in group}
    edits = {edit.pk: edit for edit in Completion.objects.filter(pk__in=placed - letters.keys())}
    return [_judged(judgment, letters, edits) for judgment in judgments]


def _judged(judgment: Judgment, letters: dict[int, str], edits: dict[int, Completion]) -> dict[str, Any]:
    placed = {pk for group in judgment.ranking for pk in group}
    own = {pk: f"{letters.get(edit.edit_of_id, '?')}+" for pk, edit in edits.items() if pk in placed}
    plain = (
        "id",
        "kind",
        "is_decision",
        "strengths",
        "all_bad",
        "rationale",
        "seconds_spent",
        "revision",
        "created_at",
    )
    return {
        **{name: getattr(judgment, name) for name in plain},
        "annotator": pseudonym(judgment.annotator_id),
        "ranking": _named(judgment.ranking, letters | own),
        "marks": {letters[int(pk)]: mark for pk, mark in judgment.marks.items() if int(pk) in letters},
        "edits": {name: edits[pk].text for pk, name in own.items()},
    }


def _named(groups: list[list[int]], names: dict[int, str]) -> list[list[str]]:
    return [sorted(names.get(pk, "?") for pk in group) for group in groups]
