"""An annotator's answer as a program sends it and gets it back: by the letters under which completions are shown."""

from collections.abc import Mapping
from math import isfinite
from string import ascii_uppercase
from typing import Any

from rest_framework import serializers

from annotation.actions import Answer, Basis, Edit
from annotation.models import Assignment, Judgment
from annotation.rules.marks import Mark, Safety
from annotation.rules.protocol import MAX_ASPECTS, MAX_COMPLETIONS, MAX_DEFECTS
from annotation.rules.ranking import EDIT, Ranking, RankingError, Strength
from annotation.task.answer_form import EDIT_CHARACTERS, RATIONALE_CHARACTERS
from annotation.task.page import edit_in, letters

LONGEST_KEY = 60


class Seconds(serializers.FloatField):
    """Of one sitting: up to a week."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=7 * 86_400, **kwargs)

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not isfinite(value):
            self.fail("invalid")
        return value


def _rankings(**more: Any) -> serializers.ListField:
    group = serializers.ListField(
        child=serializers.CharField(max_length=4), allow_empty=False, max_length=MAX_COMPLETIONS + 1
    )
    words = 'Groups of letters, best first; those of one group are tied. "edit" is the better answer that you wrote.'
    return serializers.ListField(child=group, max_length=MAX_COMPLETIONS + 1, help_text=words, **more)


class MarkAsked(serializers.Serializer):
    safety = serializers.ChoiceField(choices=[each.value for each in Safety], required=False, allow_null=True)
    aspects = serializers.DictField(child=serializers.IntegerField(), required=False)
    defects = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_KEY), required=False, max_length=MAX_DEFECTS
    )

    def validate_aspects(self, given: dict[str, int]) -> dict[str, int]:
        if len(given) > MAX_ASPECTS or not all(key.isascii() and key.isprintable() for key in given):
            raise serializers.ValidationError(f"Name at most {MAX_ASPECTS} aspects, by their keys in the project.")
        return given


class EditAsked(serializers.Serializer):
    of = serializers.CharField(max_length=1, help_text="The letter of what it is an edit of.")
    text = serializers.CharField(max_length=EDIT_CHARACTERS, trim_whitespace=False)


class AnswerAsked(serializers.Serializer):
    ranking = _rankings()
    strengths = serializers.ListField(
        child=serializers.ChoiceField(choices=[(each.value, each.label) for each in Strength]),
        required=False, max_length=MAX_COMPLETIONS,
        help_text='One between each two groups, such as "better"; where left out, all are that.',
    )  # fmt: skip
    marks = serializers.DictField(child=MarkAsked(), required=False, help_text="By letter, as the project asks.")
    all_bad = serializers.BooleanField(default=False, help_text="What then has no place is tied for the last.")
    edit = EditAsked(required=False, allow_null=True)
    rationale = serializers.CharField(max_length=RATIONALE_CHARACTERS, allow_blank=True, default="")
    seconds_spent = Seconds(required=False, allow_null=True)
    request_key = serializers.UUIDField(help_text="A fresh one for each answer; the same again is the same answer.")
    based_on = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=2**31 - 1,
        help_text="The revision that you know of, 0 for none: a newer one is not replaced unseen (409).",
    )  # fmt: skip

    def validate_ranking(self, groups: list[list[str]]) -> list[list[str]]:
        named = [letter for group in groups for letter in group]
        if len(set(named)) != len(named):
            raise serializers.ValidationError("The ranking names a completion twice. Give each one place.")
        return groups

    def validate_marks(self, given: dict[str, Any]) -> dict[str, Any]:
        if not all(letter in ascii_uppercase for letter in given):
            raise serializers.ValidationError("Marks are by the letters of completions, such as A.")
        return given


class MarkShown(serializers.Serializer):
    safety = serializers.CharField(allow_null=True)
    aspects = serializers.DictField(child=serializers.IntegerField())
    defects = serializers.ListField(child=serializers.CharField())


class EditShown(serializers.Serializer):
    of = serializers.CharField(allow_blank=True)
    text = serializers.CharField()


class AnswerShown(serializers.Serializer):
    ranking = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    strengths = serializers.ListField(child=serializers.CharField())
    marks = serializers.DictField(child=MarkShown())
    all_bad = serializers.BooleanField()
    edit = EditShown(allow_null=True)
    rationale = serializers.CharField(allow_blank=True)
    seconds_spent = serializers.FloatField(allow_null=True)
    revision = serializers.IntegerField()
    at = serializers.DateTimeField()


def answer_of(assignment: Assignment, asked: Mapping[str, Any]) -> Answer:
    """By completion id. Raises RankingError for a letter that is not shown."""
    ids: dict[str, int | str] = {**letters(assignment), EDIT: EDIT}
    groups = [list(group) for group in asked["ranking"]]
    if asked["all_bad"]:
        placed = {letter for group in groups for letter in group}
        if unplaced := [letter for letter in letters(assignment) if letter not in placed]:
            groups.append(unplaced)
    edit, marks = asked.get("edit"), asked.get("marks") or {}
    named = [*marks, *([edit["of"]] if edit else [])]
    if unknown := [letter for letter in named if letter not in letters(assignment)]:
        raise RankingError(f"{unknown[0]} was not shown here. Name only what was.")
    ranking = Ranking(tuple(map(tuple, groups)), tuple(asked.get("strengths") or ())).map(ids)
    return Answer(
        ranking=ranking.groups,
        strengths=ranking.strengths,
        marks={ids[letter]: _mark(given) for letter, given in marks.items()},
        all_bad=asked["all_bad"],
        edit=Edit(of=ids[edit["of"]], text=edit["text"].replace("\r\n", "\n")) if edit else None,
        rationale=asked["rationale"].replace("\r\n", "\n"),
        seconds_spent=asked.get("seconds_spent"),
    )


def basis_of(asked: Mapping[str, Any]) -> Basis | None:
    return None if asked.get("based_on") is None else Basis(asked["based_on"])


def _mark(given: Mapping[str, Any]) -> Mark:
    safety = given.get("safety")
    return Mark(Safety(safety) if safety else None, given.get("aspects") or {}, tuple(given.get("defects") or ()))


def shown(assignment: Assignment, judgment: Judgment) -> dict[str, Any]:
    """A judgment as its annotator gave it."""
    names = {pk: letter for letter, pk in letters(assignment).items()}
    edit = edit_in(judgment, assignment)
    by_pk = names | ({edit[0]: EDIT} if edit else {})
    return {
        "ranking": [[by_pk[pk] for pk in group] for group in judgment.ranking],
        "strengths": list(judgment.strengths),
        "marks": {
            names[int(pk)]: {
                "safety": mark.get("safety"),
                "aspects": mark.get("aspects") or {},
                "defects": mark.get("defects") or [],
            }
            for pk, mark in judgment.marks.items()
        },
        "all_bad": judgment.all_bad,
        "edit": {"of": names.get(edit[1], ""), "text": edit[2]} if edit else None,
        "rationale": judgment.rationale,
        "seconds_spent": judgment.seconds_spent,
        "revision": judgment.revision,
        "at": judgment.created_at,
    }  # fmt: skip
