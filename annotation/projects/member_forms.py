"""The forms of members and invitations."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import UserCreationForm
from django.utils import timezone

from annotation.models import JudgeKind, Membership, Role
from annotation.projects.groups_field import GroupsField

GROUPS_HELP = "With commas between them. They get these groups' comparisons beside those of no group."


class MembershipForm(forms.ModelForm):
    """Change one who is a member."""

    groups = GroupsField(help_text=GROUPS_HELP)
    # Nobody judges here as an imported annotator.
    kind = forms.ChoiceField(
        label="Judges as", choices=[(kind.value, kind.label) for kind in JudgeKind if kind != JudgeKind.IMPORTED],
        initial=JudgeKind.PERSON,
    )  # fmt: skip

    class Meta:
        model = Membership
        fields = ["role", "kind", "groups"]


class MemberForm(MembershipForm):
    """Add a member by username, or change one who is there."""

    username = forms.CharField(max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    field_order = ["username", "role", "kind", "groups"]

    def clean_username(self) -> str:
        username = self.cleaned_data["username"].strip()
        self.user = get_user_model().objects.filter(username=username, is_active=True).first()
        if self.user is None:
            raise forms.ValidationError(
                f'There is no account "{username}". Check the spelling, or send them an invitation link.'
            )
        return username


class InvitationForm(forms.Form):
    request_key = forms.UUIDField(widget=forms.HiddenInput)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.ANNOTATOR)
    max_uses = forms.IntegerField(
        label="For how many people", initial=1, min_value=1, max_value=1000,
        help_text="Each who joins by it uses it once.",
    )  # fmt: skip
    days = forms.IntegerField(label="Valid for how many days", initial=7, min_value=1, max_value=90)
    groups = GroupsField(help_text=GROUPS_HELP)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("role") == Role.MANAGER and cleaned.get("max_uses", 1) > 1:
            self.add_error(
                "max_uses", "A link that makes a manager is for one person: a manager may do everything here."
            )
        return cleaned

    def settings(self) -> dict[str, Any]:
        """What create_invitation wants to know."""
        chosen = {name: self.cleaned_data[name] for name in ("role", "max_uses", "groups", "request_key")}
        return chosen | {"expires_at": timezone.now() + timedelta(days=self.cleaned_data["days"])}


class NewAccountForm(UserCreationForm):
    """For who comes by an invitation and has no account yet: Django's own rules for names and passwords."""

    class Meta(UserCreationForm.Meta):
        help_texts = {"username": "Letters, digits and @ . + - _ only."}
