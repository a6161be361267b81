"""The form of a new API token."""

from django import forms

from sampling.models import ApiToken, Scope
from sampling.rest.tokens import MAX_DAYS


class TokenForm(forms.Form):
    """What it is for, what it may do, how long it lives."""

    name = forms.CharField(
        max_length=ApiToken._meta.get_field("name").max_length,
        help_text='What it is for, such as "notebook on my laptop".',
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=[(scope.value, f"{scope.value}: {scope.label}") for scope in Scope],
        initial=[Scope.READ],
        widget=forms.CheckboxSelectMultiple,
        help_text="Within what you may do yourself, never more.",
        error_messages={"required": "Choose at least one: a token without any can do nothing."},
    )
    days = forms.IntegerField(
        label="It lives for (days)", initial=90, min_value=1, max_value=MAX_DAYS, help_text=f"At most {MAX_DAYS}."
    )
