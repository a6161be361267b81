"""Filters as a form: a step each, to be added, moved and removed by the form's own buttons, with or without JavaScript.

The part of a page is `sampling/_filter_steps.html`, inside whatever form the page has; its context `steps_context`.
What is posted `steps_from` reads, with the pressed button's change made. A button that only changes the steps is known
by `PostedSteps.is_edit`: then the form is shown again, and nothing else is done. Whether the steps can be run says
`steps_problem`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from django import forms

from sampling.checkpoints import is_hub_id
from sampling.curation.filters import FILTERS
from sampling.curation.filters.base import Filter
from sampling.curation.parameters import BadValue, Choice, Flag, Number, Parameter, Text, Tokenizer, Words
from sampling.curation.steps import MOST_STEPS, BadStep, check
from sampling.models import FilterSet, ModelVersion, PromptSet

ACTION = "step_action"  # the buttons' name; their values are add, load, remove-2, up-2, down-2
TOKENIZERS_SHOWN = 200
SETS_SHOWN = 500
KEYS_LOOKED_FOR = 200  # prompts of a set
Step = dict[str, Any]


class PostedSteps(list[Step]):
    """Steps as they were posted: texts that may be wrong. ``is_edit``: one of the steps' own buttons was pressed."""

    is_edit = False


def steps_from(post: Mapping[str, Any]) -> PostedSteps:
    """The steps of a posted form, after what the pressed button does to them. Nothing is checked."""
    steps = PostedSteps(_posted(post))
    what, _, place = str(post.get(ACTION, "")).partition("-")
    at = int(place) if place.isdecimal() and len(place) < 4 else -1
    match what:
        case "add":
            _add(steps, str(post.get("step_new", "")))
        case "load":
            _load(steps, str(post.get("step_saved", "")))
        case "remove" if 0 <= at < len(steps):
            del steps[at]
        case "up" if 0 < at < len(steps):
            steps[at - 1], steps[at] = steps[at], steps[at - 1]
        case "down" if 0 <= at < len(steps) - 1:
            steps[at + 1], steps[at] = steps[at], steps[at + 1]
    steps.is_edit = bool(what)
    return steps


def _posted(post: Mapping[str, Any]) -> list[Step]:
    steps = []
    for number in range(MOST_STEPS):
        key = post.get(f"step-{number}-filter")
        if key in FILTERS:
            told = {each.name: _told(each, post, f"step-{number}-{each.name}") for each in FILTERS[key].parameters}
            steps.append({"filter": key} | told)
    return steps


def _told(parameter: Parameter, post: Mapping[str, Any], name: str) -> Any:
    """The typed value where there is one, else the text, to be shown again with what is wrong with it."""
    if isinstance(parameter, Flag):
        return name in post  # an empty box is not sent
    value = post.get(name, parameter.show(parameter.default))
    try:
        return parameter.read(value)
    except BadValue:
        return value


def _add(steps: PostedSteps, key: str) -> None:
    if key in FILTERS and len(steps) < MOST_STEPS:
        steps.append({"filter": key} | {each.name: each.default for each in FILTERS[key].parameters})


def _load(steps: PostedSteps, pk: str) -> None:
    """Those of a saved set, in the place of all that were there."""
    saved = FilterSet.objects.filter(pk=pk).first() if pk.isdecimal() and len(pk) < 10 else None
    if saved is not None:
        steps[:] = saved.steps


def steps_problem(steps: Sequence[Step]) -> str:
    """Why the steps cannot be run; empty where they can."""
    problem = _problem(steps)
    return str(problem) if problem else ""


def _problem(steps: Sequence[Step]) -> BadStep | None:
    try:
        check(list(steps))
    except BadStep as bad:
        return bad
    return None


@dataclass(frozen=True)
class ShownStep:
    """One step of the form."""

    number: int  # from 0
    kind: type[Filter]
    form: forms.Form
    problem: str  # that belongs to no field
    is_first: bool
    is_last: bool


def steps_context(steps: Sequence[Step], *, metadata_keys: Sequence[str] = ()) -> dict[str, Any]:
    """What `_filter_steps.html` shows. What is wrong with the steps it says, unless somebody is just changing them."""
    problem = None if getattr(steps, "is_edit", False) else _problem(steps)
    shown = [step for step in steps if step.get("filter") in FILTERS]
    tokenizers = _tokenizers() if any(step["filter"] == "tokens" for step in shown) else []
    return {
        "filter_steps": [
            _shown(at, step, len(shown), problem if problem and problem.step == at else None, tokenizers)
            for at, step in enumerate(shown)
        ],
        "filter_kinds": FILTERS.values(),
        "filter_room": len(shown) < MOST_STEPS,
        "saved_filters": FilterSet.objects.only("name")[:SETS_SHOWN],
        "metadata_keys": metadata_keys,
    }


def _shown(at: int, step: Step, count: int, problem: BadStep | None, tokenizers: list[str]) -> ShownStep:
    kind = FILTERS[step["filter"]]
    form = _form(at, kind, step, tokenizers)
    words = ""
    if problem:
        words = str(problem).partition("): ")[2] or str(problem)
        if problem.parameter in form.fields:
            words = words.removeprefix(f"{form.fields[problem.parameter].label}: ")
            form.add_error(problem.parameter, words[0].upper() + words[1:])
            words = ""
    return ShownStep(at, kind, form, words, at == 0, at == count - 1)


def _form(at: int, kind: type[Filter], step: Step, tokenizers: list[str]) -> forms.Form:
    """Its fields accept anything: what is right, the filter's parameters know."""
    prefix = f"step-{at}"
    data = {}
    for parameter in kind.parameters:
        value = step.get(parameter.name, parameter.default)
        if not isinstance(parameter, Flag):
            data[f"{prefix}-{parameter.name}"] = value if isinstance(value, str) else parameter.show(value)
        elif value:
            data[f"{prefix}-{parameter.name}"] = "on"
    form = forms.Form(data, prefix=prefix, use_required_attribute=False)
    for parameter in kind.parameters:
        form.fields[parameter.name] = _field(parameter, tokenizers, step.get(parameter.name))
    form.full_clean()
    return form


def _field(parameter: Parameter, tokenizers: list[str], value: Any) -> forms.Field:
    told = {"label": parameter.label, "help_text": parameter.help, "required": False}
    match parameter:
        case Choice():
            return forms.CharField(widget=forms.Select(choices=parameter.choices), **told)
        case Flag():
            return forms.BooleanField(**told)
        case Number():
            attrs = {"inputmode": "numeric" if parameter.whole else "decimal"}
            return forms.CharField(widget=forms.TextInput(attrs=attrs), **told)
        case Tokenizer():
            names = list(dict.fromkeys([*tokenizers, *([value] if isinstance(value, str) and value else [])]))
            choices = [("", "none: count words"), *((name, name) for name in names)]
            return forms.CharField(widget=forms.Select(choices=choices), **told)
        case Text():
            attrs = {"list": parameter.suggestions} if parameter.suggestions else {}
            return forms.CharField(widget=forms.TextInput(attrs=attrs), **told)
        case Words():
            return forms.CharField(**told)
        case other:
            assert_never(other)


def _tokenizers() -> list[str]:
    """Names of models whose directory is on this machine, newest first."""
    versions = ModelVersion.objects.values_list("name", "location")[:TOKENIZERS_SHOWN]
    return [name for name, location in versions if not is_hub_id(location)]


def metadata_keys_of(prompt_set: PromptSet) -> list[str]:
    """Of the set's first prompts, to be offered where a key is asked for."""
    found = prompt_set.prompts.order_by("pk").values_list("metadata", flat=True)[:KEYS_LOOKED_FOR]
    return sorted({key for metadata in found for key in metadata})


class CurationForm(forms.Form):
    """What a run of filters is asked besides its steps."""

    request_key = forms.UUIDField(widget=forms.HiddenInput)
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        initial=17,
        help_text="For what is drawn and for splits. The same seed gives the same rows.",
    )


class KeepForm(forms.Form):
    new_name = forms.CharField(label="New prompt set", max_length=120)


class FilterSetForm(forms.Form):
    name = forms.CharField(max_length=120, help_text="What the filters are known by, for example short English.")
