"""The form that freezes a snapshot."""

import uuid
from typing import Any

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q, QuerySet

from annotation.datasets.choice import Choice
from annotation.datasets.chosen import by_kind
from annotation.models import DatasetSnapshot, JudgeKind, Project, Role
from annotation.rules.aggregation import LEVELS, Aggregation, OneRowPer
from annotation.rules.ranking import Strength

AGGREGATIONS = [
    (Aggregation.MAJORITY.value, "majority: what more than half say, with its share"),
    (Aggregation.DAWID_SKENE.value, "Dawid-Skene: votes weighed by how often each annotator is right"),
]
ROWS = [
    (OneRowPer.JUDGMENT.value, "one row per judgment's pair"),
    (OneRowPer.PAIR.value, "one row per pair, over all its judgments, with its probability"),
]
STRENGTHS = [(str(LEVELS[0]), "any"), *((str(level), f"{level.label} or more") for level in LEVELS[1:])]


class SnapshotForm(forms.Form):
    """A name and what is chosen; what the database refuses is added by the view, beside the field."""

    name = forms.SlugField(
        max_length=DatasetSnapshot._meta.get_field("name").max_length,
        help_text='Letters, digits, hyphens and underscores, as in "june-1". It names the download as well.',
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )
    projects = forms.ModelMultipleChoiceField(
        label="Of which projects",
        queryset=Project.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        help_text="Those that you manage. The snapshot is kept in this one.",
        error_messages={"required": "Choose at least one project."},
    )
    kinds = forms.MultipleChoiceField(
        label="Whose judgments",
        choices=JudgeKind.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text="Kinds are mixed only if you choose more than one; an export says which row is whose.",
        error_messages={"required": "Choose at least one kind of judge."},
    )
    since = forms.DateField(
        label="Judged since", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    until = forms.DateField(
        label="Judged until",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="Days in UTC, both included: when the newest revision was given.",
    )
    reviewed_only = forms.BooleanField(label="Only comparisons that a reviewer decided", required=False)
    agreement = forms.IntegerField(
        label="Agreement, in %",
        min_value=50,
        max_value=100,
        initial=50,
        help_text="Only what at least so many in a hundred of a pair's judgments say; 50 lets all in. Two of three "
        "are 67. Of a row per pair by Dawid-Skene it is the probability.",
    )
    min_strength = forms.ChoiceField(label="How much better", choices=STRENGTHS, initial=str(LEVELS[0]))
    one_row_per = forms.ChoiceField(
        label="Rows of an export",
        choices=ROWS,
        initial=OneRowPer.JUDGMENT.value,
        help_text="What an export has unless the other is asked for there.",
    )
    aggregation = forms.ChoiceField(
        label="A row per pair is made by",
        choices=AGGREGATIONS,
        initial=Aggregation.MAJORITY.value,
        help_text="Dawid-Skene estimates annotators from nothing but who agrees with whom: it needs an overlap of "
        "three or more. What it estimates is frozen too.",
    )
    request_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(
        self, *args: Any, project: Project, user: AbstractBaseUser, counts_only: bool = False, **kwargs: Any
    ) -> None:
        """``counts_only``: it is not shown, so that the counts beside the kinds need not be counted."""
        super().__init__(*args, **kwargs)
        self.home = project
        self.fields["projects"].queryset = managed_by(user, project)
        self.fields["projects"].initial = [project.pk]
        if self.fields["projects"].queryset.count() == 1:
            del self.fields["projects"]
        if counts_only:
            return
        found = by_kind(self.project_ids())
        self.fields["kinds"].choices = [(kind.value, f"{kind.label} ({found.get(kind, 0):,})") for kind in JudgeKind]
        self.fields["kinds"].initial = default_kinds(found)
        self.fields["request_key"].initial = uuid.uuid4

    def project_ids(self) -> tuple[int, ...]:
        """Those that are ticked and that the user manages; the snapshot's own where there is no other to tick."""
        if "projects" not in self.fields:
            return (self.home.pk,)
        ticked = self.data.getlist(self.add_prefix("projects")) if self.is_bound else [self.home.pk]
        known = set(self.fields["projects"].queryset.values_list("pk", flat=True))
        return tuple(pk for pk in known if str(pk) in map(str, ticked))

    def choice(self) -> Choice | None:
        """What is chosen, as far as it makes sense: for the counts. None without a project or a kind."""
        given = self._given()
        kinds = tuple(given.get("kinds") or ())
        if not kinds or not self.project_ids():
            return None
        return Choice(
            name=given.get("name") or "snapshot",
            project_ids=self.project_ids(),
            kinds=kinds,
            since=given.get("since"),
            until=given.get("until"),
            reviewed_only=bool(given.get("reviewed_only")),
            agreement_threshold=(given.get("agreement") or 50) / 100,
            min_strength=Strength(given.get("min_strength") or LEVELS[0]),
            one_row_per=OneRowPer(given.get("one_row_per") or OneRowPer.JUDGMENT),
            aggregation=Aggregation(given.get("aggregation") or Aggregation.MAJORITY),
        )

    def _given(self) -> dict[str, Any]:
        if not self.is_bound:
            return {name: field.initial for name, field in self.fields.items()}
        self.is_valid()
        return self.cleaned_data


def managed_by(user: AbstractBaseUser, home: Project) -> QuerySet[Project]:
    """The projects whose judgments this user may put together."""
    if user.is_staff:
        return Project.objects.all()
    mine = Project.objects.filter(memberships__user=user.pk, memberships__role=Role.MANAGER).values("pk")
    return Project.objects.filter(Q(pk=home.pk) | Q(pk__in=mine))


def default_kinds(found: dict[str, int]) -> list[str]:
    """One kind: people where there are any, else the first that has judged at all."""
    return next(([kind.value] for kind in JudgeKind if found.get(kind)), [JudgeKind.PERSON.value])
