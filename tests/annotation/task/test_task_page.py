"""What the ranking page is given to show, for each thing that a project may ask."""

import uuid

import pytest
from django.urls import reverse

from annotation import actions
from annotation.models import Project

pytestmark = pytest.mark.django_db
HELPFULNESS = {"key": "helpfulness", "label": "Helpfulness", "lowest": 0, "highest": 4}
HALLUCINATION = {"key": "hallucination", "label": "Hallucination"}


@pytest.fixture
def bobs(client, bob):
    client.force_login(bob)
    return client


@pytest.fixture
def context(bobs, held, project):
    """context(**settings): the page of what Bob holds, where the project asks for that."""

    def context(**settings):
        Project.objects.update(**settings)
        return bobs.get(reverse("annotation:annotate", args=[project.slug])).context

    return context


def test_a_card_has_only_what_the_project_asks_for(context):
    card = context()["cards"][0]
    assert (card.letter, card.number, card.is_empty) == ("A", 1, False)
    assert (card.words, card.safety, card.aspects, card.defects) == (None, None, [], None)


def test_a_card_has_a_field_for_each_mark(context):
    shown = context(ask_safety=True, aspects=[HELPFULNESS], defects=[HALLUCINATION])
    b = shown["cards"][1]
    assert [each.data["value"] for each in b.safety] == ["safe", "unsafe"]
    assert [each.data["value"] for each in b.aspects[0].field] == [0, 1, 2, 3, 4]
    assert b.aspects[0].aspect.label == "Helpfulness"
    assert [each.data["label"] for each in b.defects] == ["Hallucination"]
    assert b.defects.name == "defects_B"


def test_length_is_shown_only_where_the_project_wants_it(context, held):
    texts = dict(held.comparison.completions.values_list("pk", "text"))
    assert [card.words for card in context(show_length=True)["cards"]] == [
        len(texts[pk].split()) for pk in held.display_order
    ]


@pytest.mark.parametrize(
    ("scale", "shorts", "tie"),
    [
        ("none", [], "tie"),
        ("llama2", ["significantly", "better", "slightly", "negligibly"], "tie"),
        ("helpsteer3", ["much", "better", "slightly"], "about the same"),
    ],
)
def test_the_levels_are_the_scales_strongest_first(context, scale, shorts, tie):
    shown = context(strength_scale=scale)
    assert [level["short"] for level in shown["scale_levels"]] == shorts
    assert shown["tie_label"] == tie


def test_every_turn_is_shown_with_its_role(context, held):
    prompt = held.comparison.prompt
    prompt.messages = [
        {"role": "system", "content": "Be *brief*."}, {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Where?"},
    ]  # fmt: skip
    prompt.save()
    turns = context()["conversation"]
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]
    assert "<em>brief</em>" in turns[0].text.html


@pytest.mark.parametrize("rationale", ["off", "optional", "required"])
def test_the_rationale_is_asked_as_the_project_says(context, rationale):
    shown = context(rationale=rationale)
    assert shown["rationale"] == rationale
    assert ("rationale" in shown["form"].fields) == (rationale != "off")


def test_everything_drafted_is_there_again(bobs, held, context):
    Project.objects.update(ask_safety=True, defects=[HALLUCINATION], allow_edits=True, allow_all_bad=True)
    drafted = {
        "rank_C": 2, "safety_A": "unsafe", "defects_B": ["hallucination"], "all_bad": True, "edit_of": "B",
        "edit_text": "Bett", "rank_edit": 1, "rationale": "so far", "strength_1": "significantly_better",
    }  # fmt: skip
    assert bobs.post(reverse("annotation:draft", args=[held.pk]), drafted).status_code == 204
    form = context()["form"]
    assert {name: form[name].value() for name in drafted} == drafted


def test_a_correction_begins_with_the_whole_answer(bobs, held, context):
    Project.objects.update(ask_safety=True, aspects=[HELPFULNESS], allow_edits=True)
    said = {
        "rank_A": 2, "rank_B": 3, "rank_C": 3, "rank_D": 4, "edit_of": "A", "edit_text": "Better.", "rank_edit": 1,
        "strength_2": "significantly_better", "rationale": "Because.",
        **{f"safety_{letter}": "safe" for letter in "ABCD"},
        **{f"aspect_helpfulness_{letter}": 0 for letter in "ABCD"},
    }  # fmt: skip
    sent = {**said, "request_key": uuid.uuid4()}
    assert bobs.post(reverse("annotation:submit", args=[held.pk]), sent).status_code == 302
    shown = bobs.get(held.get_absolute_url()).context
    assert shown["is_correction"]
    assert {name: shown["form"][name].value() for name in said} == said


def test_the_number_of_queries_does_not_grow_with_the_completions(bobs, project, write, django_assert_max_num_queries):
    everything = {"ask_safety": True, "aspects": [HELPFULNESS], "defects": [HALLUCINATION], "allow_edits": True}
    Project.objects.update(**everything)
    actions.open_comparisons(project=project, completions=write([f"Text {n}" for n in range(9)]), k=9)
    address = reverse("annotation:annotate", args=[project.slug])
    bobs.get(address)
    with django_assert_max_num_queries(20):
        assert len(bobs.get(address).context["cards"]) == 9


def test_an_edit_begins_with_the_text_itself_where_the_raw_one_spells_signs_out(context, held):
    texts = dict(zip(held.display_order, ["plain", "pay\u202elive", "word " * 10_001, "<b>"], strict=True))
    for pk, text in texts.items():
        held.comparison.completions.filter(pk=pk).update(text=text)
    assert [card.original for card in context()["cards"]] == [None] * 4
    assert [card.original for card in context(allow_edits=True)["cards"]] == [None, "pay\u202elive", None, None]


def test_what_is_not_all_in_the_page_cannot_be_edited_there(bobs, project, held):
    Project.objects.update(allow_edits=True)
    held.comparison.completions.filter(pk=held.display_order[1]).update(text="word " * 10_001)
    html = bobs.get(reverse("annotation:annotate", args=[project.slug])).content.decode()
    assert html.count("data-too-long") == 1


def test_the_page_says_when_what_it_begins_with_was_written(bobs, project, held):
    address = reverse("annotation:annotate", args=[project.slug])
    assert 'data-drafted-at=""' in bobs.get(address).content.decode()
    bobs.post(reverse("annotation:draft", args=[held.pk]), {"rank_A": 1, "drafted_at": 1760000000123})
    assert 'data-drafted-at="1760000000123"' in bobs.get(address).content.decode()
