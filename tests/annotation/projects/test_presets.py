"""The published forms, and aspects and defects as text."""

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from annotation.models import Project
from annotation.projects.presets import PRESETS
from annotation.projects.protocol_text import (
    LinesError,
    aspects_from_text,
    defects_from_text,
    text_of_aspects,
    text_of_defects,
)
from annotation.rules.protocol import Aspect, Defect, StrengthScale, aspects_of, defects_of, key_of


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_preset_is_a_project_that_can_be_saved(preset):
    project = Project(name="x", slug="x", **preset.settings)
    project.full_clean(validate_unique=False, validate_constraints=False)
    assert project.preset == preset.key
    assert preset.url.startswith("https://arxiv.org/abs/")


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_presets_aspects_and_defects_come_back_from_the_form_as_they_were(preset):
    aspects, defects = aspects_of(preset.settings.get("aspects", [])), defects_of(preset.settings.get("defects", []))
    assert aspects_from_text(text_of_aspects(aspects)) == aspects
    assert defects_from_text(text_of_defects(defects)) == defects


def test_the_published_forms_ask_what_was_published():
    asked = {key: Project(**preset.settings) for key, preset in PRESETS.items()}
    # Llama 2: a forced choice on four levels; for safety also a mark for each.
    for key in ("llama2-helpfulness", "llama2-safety"):
        assert (asked[key].completions_per_comparison, asked[key].allow_ties) == (2, False)
        assert len(asked[key].scale.levels) == 4
    assert [asked[key].ask_safety for key in ("llama2-helpfulness", "llama2-safety")] == [False, True]
    # InstructGPT: 1 to 7, eleven marks, ties.
    sheet = asked["instructgpt"]
    assert [(aspect.lowest, aspect.highest) for aspect in sheet.asked_aspects] == [(1, 7)]
    assert (len(sheet.asked_defects), sheet.allow_ties, sheet.asks_strength) == (11, True, False)
    # HelpSteer3: three levels either way and the tie between are -3 to 3; a reason for each.
    assert (len(asked["helpsteer3"].scale.levels), asked["helpsteer3"].rationale) == (3, "required")
    # Arena: A, B, tie, both bad.
    arena = asked["arena"]
    assert (arena.allow_ties, arena.allow_all_bad, arena.scale, arena.rationale) == (
        True, True, StrengthScale.NONE, "off",
    )  # fmt: skip


# Text


@pytest.mark.parametrize(
    ("line", "aspect"),
    [
        (
            "Helpfulness: 0-4 (not at all .. perfectly)",
            Aspect("helpfulness", "Helpfulness", 0, 4, "not at all", "perfectly"),
        ),
        ("Coherence", Aspect("coherence", "Coherence", 1, 5)),
        ("Tone:-2 to 2", Aspect("tone", "Tone", -2, 2)),
        ("Overall quality: 1 .. 7", Aspect("overall_quality", "Overall quality", 1, 7)),
        ("도움: 1-3", Aspect("aspect_1", "도움", 1, 3)),
    ],
)  # fmt: skip
def test_an_aspect_is_a_line(line, aspect):
    assert aspects_from_text(line) == [aspect]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Fine\n\nWrong: 5-1", "Line 3: \"Wrong\" runs from 5 to 1"),
        ("Wide: 0-10\nWider: -10-10", "Line 2: \"Wider\" has 21 steps"),
        ("Tone: warm", 'Line 1: "Tone: warm" cannot be read. Write it like this: Helpfulness: 0 to 4'),
        ("Truth\ntruth!", 'Line 2: "truth!" reads like "Truth"'),
        ("\n".join(f"Aspect {n}" for n in range(9)), "These are 9 aspects; ask for at most 8."),
        ("x" * 81, "has 81 letters"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_aspect_is_said_by_line(text, message):
    with pytest.raises(LinesError) as refused:
        aspects_from_text(text)
    assert message in str(refused.value)


def test_every_wrong_line_is_named_at_once():
    with pytest.raises(LinesError) as refused:
        aspects_from_text("A: 5-1\nB: 5-1")
    assert len(refused.value.messages) == 2


def test_an_aspect_that_stays_keeps_the_key_under_which_its_answers_are_kept():
    known = [Aspect("old_key", "Helpfulness", 1, 5)]
    assert aspects_from_text("Helpfulness: 1-7", known)[0].key == "old_key"
    assert defects_from_text("Rude", [Defect("was_rude", "Rude")])[0].key == "was_rude"


LETTERS = st.characters(codec="utf-8", exclude_characters=":", exclude_categories=["C", "Z"])
LABELS = st.text(LETTERS, min_size=1, max_size=60)


@given(
    st.lists(LABELS, max_size=8, unique_by=lambda label: key_of(label) or label), st.integers(-5, 0), st.integers(1, 5)
)
def test_what_was_written_out_is_read_again_as_it_was(labels, lowest, highest):
    aspects = aspects_from_text("\n".join(f"{label}: {lowest} to {highest}" for label in labels))
    assert [aspect.label for aspect in aspects] == labels
    assert aspects_from_text(text_of_aspects(aspects)) == aspects


# The page


@pytest.mark.django_db
def test_a_project_begins_from_a_preset_chosen_by_a_link(client, alice):
    client.force_login(alice)
    address = reverse("annotation:project_new")
    first = client.get(address).content.decode()
    assert all(preset.name in first and f"?preset={preset.key}" in first for preset in PRESETS.values())
    assert "<textarea" not in first

    form = client.get(address, {"preset": "instructgpt"}).context["form"]
    fields = {name: form[name].value() for name in form.fields} | {"name": "Sheet"}
    fields = {name: value for name, value in fields.items() if value is not None and value is not False}
    assert fields["aspects"] == "Overall quality: 1 to 7"
    response = client.post(address, fields)
    assert response.status_code == 302, response.context["form"].errors
    made = Project.objects.get()
    assert response.url == made.get_absolute_url()
    assert (made.preset, made.strength_scale, made.allow_ties) == ("instructgpt", "none", True)
    assert made.aspects == PRESETS["instructgpt"].settings["aspects"]
    assert made.defects == PRESETS["instructgpt"].settings["defects"]


@pytest.mark.django_db
def test_an_unknown_preset_shows_the_choice_again(client, alice):
    client.force_login(alice)
    assert not client.get(reverse("annotation:project_new"), {"preset": "nonsense"}).context["has_chosen"]
