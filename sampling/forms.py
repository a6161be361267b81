"""What the pages of prompts, models and sampling runs ask for."""

import uuid
from typing import Any

from django import forms

from sampling.checkpoints import ModelNotUsable
from sampling.models import ModelRole, ModelVersion, PromptSet, SamplingRun, Split


class RegisterModelForm(forms.Form):
    """A checkpoint that is on the workers' machines already, or on a hub."""

    name = forms.CharField(max_length=120, help_text="How people call it here, for example smollm2.")
    location = forms.CharField(
        max_length=500,
        help_text="A directory with config.json and *.safetensors, or a hub id such as org/name. Hashing the weights "
        "of a very large model takes minutes; register that with manage.py register_model.",
    )
    role = forms.ChoiceField(choices=ModelRole, initial=ModelRole.POLICY)
    parent = forms.ModelChoiceField(
        ModelVersion.objects.all(), required=False, help_text="The version that it was trained from."
    )
    publish = forms.BooleanField(
        required=False, initial=True, label="Published", help_text="A published policy may write candidates."
    )
    notes = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))

    def refuse(self, error: ModelNotUsable) -> None:
        """Show beside the location why it holds no usable model."""
        self.add_error("location", str(error))


class SamplingRunForm(forms.ModelForm):
    """Which prompts, which policies, how many completions, and how they are sampled."""

    request_key = forms.UUIDField(widget=forms.HiddenInput)
    policies = forms.ModelMultipleChoiceField(
        ModelVersion.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        help_text="Each answers every prompt. Only published policies can be chosen.",
        error_messages={"required": "Choose at least one policy."},
    )
    split = forms.ChoiceField(choices=[("", "both"), *Split.choices], required=False)

    class Meta:
        model = SamplingRun
        fields = [
            "prompt_set",
            "split",
            "policies",
            "n",
            "temperature",
            "top_p",
            "max_tokens",
            "seed",
            "prompt_limit",
            "name",
        ]
        labels = {
            "n": "Completions per prompt",
            "prompt_limit": "Only the first so many prompts",
            "top_p": "top-p",
        }
        help_texts = {
            "n": "From each policy. A comparison needs at least two.",
            "temperature": "0 always takes the likeliest token; candidates to rank need more.",
            "max_tokens": "A completion is cut there.",
            "prompt_limit": "To try something out.",
            "seed": "The same seed gives the same completions.",
            "name": "Made from the set and the policies if you give none.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["policies"].queryset = ModelVersion.objects.published()
        self.fields["prompt_set"].queryset = PromptSet.objects.all()
        self.fields["name"].required = False
        self.fields["request_key"].initial = uuid.uuid4
        for name in ("prompt_set", "policies"):
            self._choose_the_only_one(name)

    def _choose_the_only_one(self, name: str) -> None:
        choices = list(self.fields[name].queryset[:2])
        if len(choices) == 1 and not self.initial.get(name):
            self.initial[name] = choices if name == "policies" else choices[0]

    def parameters(self) -> dict[str, Any]:
        """The keyword arguments of the action."""
        return {name: self.cleaned_data[name] for name in [*self.Meta.fields, "request_key"]}
