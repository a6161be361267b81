"""What an import of judgments must be told. What the form gives is kept as JSON: the "store" part of its options."""

from typing import Any

from django import forms

from annotation.models import Project


class JudgmentsForm(forms.Form):
    """Into which project, and whether judgments that name nobody are one annotator's."""

    project = forms.ChoiceField(required=False, label="Into the project")
    new_project = forms.CharField(
        required=False, max_length=120, label="Or into a new project named",
        help_text="It is made when the import starts, and asks what the file shows: how many completions, ties, "
        "strengths.",
    )  # fmt: skip
    unnamed_are_one = forms.BooleanField(
        required=False, initial=True, label="Judgments without an annotator are one annotator's",
        help_text="Then a second, different one of the same completions is reported and left out. Else each is "
        "another person's.",
    )  # fmt: skip

    one_of = ("project", "new_project")  # the page shows these together
    one_of_label = "The judgments need a project: choose one, or name a new one."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        projects = Project.objects.order_by("name").values_list("slug", "name")
        self.fields["project"].choices = [("", "choose one"), *projects]

    def clean_new_project(self) -> str:
        name = self.cleaned_data["new_project"].strip()
        if Project.objects.filter(name=name).exists():
            raise forms.ValidationError(f'There is a project "{name}" already. Choose it above, or another name.')
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if (
            "project" in cleaned
            and "new_project" in cleaned
            and bool(cleaned["project"]) == bool(cleaned["new_project"])
        ):
            raise forms.ValidationError("Choose a project, or give a name for a new one: one of the two.")
        return cleaned
