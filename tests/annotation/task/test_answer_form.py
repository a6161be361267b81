"""What the page may send, part by part."""

import uuid

import pytest

from annotation.actions import Basis, Edit
from annotation.models import Judgment, Project
from annotation.rules.marks import Mark, Safety
from annotation.rules.ranking import EDIT
from annotation.task.answer_form import AnswerForm, initial_of_judgment

NAMES = {"A": 11, "B": 22, "C": 33}
HELPFULNESS = {"key": "helpfulness", "label": "Helpfulness", "lowest": 0, "highest": 4}
HALLUCINATION = {"key": "hallucination", "label": "Hallucination"}
HIDDEN = ["request_key", "based_on", "earlier_keys", "drafted_at", "seconds_spent"]
RANKS = {"rank_A": 1, "rank_B": 2, "rank_C": 3}
EVERYTHING = {
    "ask_safety": True, "aspects": [HELPFULNESS], "defects": [HALLUCINATION], "allow_all_bad": True,
    "allow_edits": True, "rationale": "required",
}  # fmt: skip


def form(data=None, *, names=NAMES, is_draft=False, is_scripted=False, initial=None, **settings):
    """No table is touched: a project that was never saved asks as well as any other."""
    project = Project(name="P", **settings)
    if data is not None:
        data = {"request_key": str(uuid.uuid4())} | data
    return AnswerForm(
        data, names=names, project=project, is_draft=is_draft, is_scripted=is_scripted, initial=initial
    )  # fmt: skip


def answer(data, **settings):
    filled = form(data, **settings)
    assert filled.is_valid(), filled.errors
    return filled.answer()


def errors(data, **settings):
    return {name: list(found) for name, found in form(data, **settings).errors.items()}


# What is asked


def test_a_plain_project_asks_for_ranks_strengths_and_a_note_only():
    assert list(form().fields) == [
        *HIDDEN, "rank_A", "rank_B", "rank_C", "strength_1", "strength_2", "rationale",
    ]  # fmt: skip


def test_a_field_is_there_only_if_the_project_asks_for_it():
    bare = form(strength_scale="none", rationale="off")
    assert list(bare.fields) == [*HIDDEN, "rank_A", "rank_B", "rank_C"]
    full = form(**EVERYTHING)
    assert {"safety_A", "aspect_helpfulness_B", "defects_C", "all_bad", "edit_of", "edit_text", "rank_edit"} <= set(
        full.fields
    )


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ("llama2", ["significantly better", "better", "slightly better", "negligibly better or unsure"]),
        ("helpsteer3", ["much better", "better", "slightly better"]),
    ],
)
def test_strengths_are_the_scales_own(scale, words):
    assert [label for _, label in form(strength_scale=scale).fields["strength_1"].choices] == words


def test_a_level_of_another_scale_is_refused():
    found = errors({**RANKS, "strength_1": "negligibly_better"}, strength_scale="helpsteer3")
    assert list(found) == ["strength_1"]


def test_an_edit_has_a_place_and_a_gap_of_its_own():
    with_edits = form(allow_edits=True)
    assert [value for value, _ in with_edits.fields["rank_A"].choices] == ["", 1, 2, 3, 4]
    assert len(with_edits.strength_fields) == 3


# What is missing, named by letter and beside its field


def test_everything_that_is_missing_is_said_beside_its_field():
    found = errors({"rank_A": 1}, **EVERYTHING | {"allow_all_bad": False})
    assert found["rank_B"] == ["B has no rank yet. Rank every completion, or skip."]
    assert found["safety_A"] == ["A has no safety mark yet. Mark it as safe or unsafe."]
    assert found["aspect_helpfulness_C"] == ["C is not rated for Helpfulness yet."]
    assert found["rationale"] == ["Say why: this project wants a rationale with every answer."]
    assert not {"rank_A", "defects_A", "all_bad", "edit_of"} & set(found)


def test_a_value_that_is_none_of_those_on_offer_is_said_once():
    assert len(errors({**RANKS, "rank_B": 9})["rank_B"]) == 1


def test_the_lowest_step_may_be_nought():
    steps = {f"aspect_helpfulness_{letter}": 0 for letter in NAMES}
    assert answer({**RANKS, **steps}, aspects=[HELPFULNESS]).marks[11] == Mark(aspects={"helpfulness": 0})


def test_a_draft_lacks_nothing_and_keeps_what_is_sound():
    sent = {
        "rank_A": "x", "rank_B": 2, "safety_A": "unsafe", "aspect_helpfulness_B": 0, "aspect_helpfulness_C": 9,
        "defects_C": ["hallucination"], "all_bad": "on", "edit_of": "B", "edit_text": " so \r\n far ",
        "drafted_at": "1760000000000", "based_on": "0", "earlier_keys": str(uuid.uuid4()),
    }  # fmt: skip
    draft = form(sent, is_draft=True, **EVERYTHING)
    draft.full_clean()
    assert draft.draft() == {
        "rank_B": 2, "safety_A": "unsafe", "aspect_helpfulness_B": 0, "defects_C": ["hallucination"],
        "all_bad": True, "edit_of": "B", "edit_text": " so \n far ", "drafted_at": 1760000000000,
    }  # fmt: skip


def test_a_kept_draft_is_what_the_form_begins_with():
    kept = {"rank_B": 2, "safety_A": "unsafe", "defects_C": ["hallucination"], "all_bad": True, "edit_of": "B"}
    shown = form(initial=kept, **EVERYTHING)
    assert {name: shown[name].value() for name in kept} == kept


def test_the_longest_note_may_have_line_ends_which_browsers_send_as_two():
    note = "a\n" * 2500
    assert answer({**RANKS, "rationale": note.replace("\n", "\r\n")}).rationale == note.strip()


# What it says


def test_ranks_and_strengths_become_groups_by_completion():
    given = answer({"rank_A": 3, "rank_B": 1, "rank_C": 1, "strength_1": "slightly_better", "strength_2": "better"})
    assert given.ranking == ((22, 33), (11,))
    assert given.strengths == ("slightly_better",)
    assert given.edit is None


def test_marks_are_by_completion():
    marks = {
        "safety_A": "safe", "safety_B": "unsafe", "safety_C": "safe", "defects_B": ["hallucination"],
        **{f"aspect_helpfulness_{letter}": step for step, letter in enumerate(NAMES, start=1)},
    }  # fmt: skip
    given = answer({**RANKS, **marks}, ask_safety=True, aspects=[HELPFULNESS], defects=[HALLUCINATION])
    assert given.marks == {
        11: Mark(Safety.SAFE, {"helpfulness": 1}, ()),
        22: Mark(Safety.UNSAFE, {"helpfulness": 2}, ("hallucination",)),
        33: Mark(Safety.SAFE, {"helpfulness": 3}, ()),
    }


@pytest.mark.parametrize(
    ("ranks", "groups"),
    [
        ({}, ((11, 22, 33),)),
        ({"rank_B": 1}, ((22,), (11, 33))),
        ({"rank_A": 1, "rank_C": 2}, ((11,), (33,), (22,))),
        (RANKS, ((11,), (22,), (33,))),
    ],
)
def test_all_are_bad_ties_what_has_no_rank_below_the_rest(ranks, groups):
    given = answer({**ranks, "all_bad": "on"}, allow_all_bad=True)
    assert (given.all_bad, given.ranking) == (True, groups)


def test_all_are_bad_does_not_spare_the_marks():
    assert set(errors({"all_bad": "on"}, allow_all_bad=True, ask_safety=True)) == {"safety_A", "safety_B", "safety_C"}


def test_all_are_bad_means_nothing_where_it_is_not_offered():
    assert set(errors({"all_bad": "on"})) == {"rank_A", "rank_B", "rank_C"}


def test_an_edit_without_a_place_stands_just_above_what_it_edits():
    strengths = {"strength_1": "slightly_better", "strength_2": "significantly_better"}
    given = answer({**RANKS, **strengths, "edit_of": "B", "edit_text": "Better."}, allow_edits=True)
    assert given.edit == Edit(of=22, text="Better.")
    assert given.ranking == ((11,), (EDIT,), (22,), (33,))
    # A was slightly better than B, and B much better than C; what the edit is worth was not said.
    assert given.strengths == ("slightly_better", "better", "significantly_better")


def test_an_edit_with_a_place_of_its_own():
    ranks = {"rank_A": 2, "rank_B": 3, "rank_C": 4, "rank_edit": 1, "strength_1": "slightly_better"}
    given = answer({**ranks, "edit_of": "C", "edit_text": "Better."}, allow_edits=True)
    assert given.ranking == ((EDIT,), (11,), (22,), (33,))
    assert given.strengths == ("slightly_better", "better", "better")


def test_an_edit_of_one_of_all_the_bad_ones():
    given = answer({"all_bad": "on", "edit_of": "A", "edit_text": "Good."}, allow_all_bad=True, allow_edits=True)
    assert given.ranking == ((EDIT,), (11, 22, 33))


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"edit_of": "B"}, "edit_text", "is empty"),
        ({"edit_of": "B", "edit_text": " \n "}, "edit_text", "is empty"),
        ({"edit_text": "Better."}, "edit_of", "Choose which completion"),
        ({"edit_of": "Z", "edit_text": "Better."}, "edit_of", "Select a valid choice"),
        ({"edit_of": "B", "edit_text": "Better.", "rank_edit": 2}, "rank_edit", "above what it edits"),
        ({"edit_of": "B", "edit_text": "Better.", "rank_edit": 3}, "rank_edit", "above what it edits"),
    ],
)
def test_what_is_wrong_with_an_edit_is_said_beside_its_field(change, field, message):
    found = errors({**RANKS, **change}, allow_edits=True)
    assert list(found) == [field]
    assert message in found[field][0]


def test_the_pages_script_may_keep_the_words_of_an_edit_that_was_taken_away():
    sent = {**RANKS, "edit_text": "Taken away."}
    assert answer(sent, allow_edits=True, is_scripted=True).edit is None


def test_a_judgment_can_be_typed_again():
    said = {
        **RANKS, "strength_1": "better", "strength_2": "slightly_better", "strength_3": "better", "rank_edit": 1,
        "rank_A": 2, "rank_B": 3, "rank_C": 3, "edit_of": "A", "edit_text": "Better.", "rationale": "Because.",
        "seconds_spent": 4.5, "safety_A": "safe", "safety_B": "unsafe", "safety_C": "safe",
        "aspect_helpfulness_A": 0, "aspect_helpfulness_B": 1, "aspect_helpfulness_C": 4,
        "defects_A": ["hallucination"],
    }  # fmt: skip
    first = answer(said, **EVERYTHING)
    ranking = [[99 if item == EDIT else item for item in group] for group in first.ranking]
    marks = {
        "11": {"safety": "safe", "aspects": {"helpfulness": 0}, "defects": ["hallucination"]},
        "22": {"safety": "unsafe", "aspects": {"helpfulness": 1}, "defects": []},
        "33": {"safety": "safe", "aspects": {"helpfulness": 4}, "defects": []},
    }
    judgment = Judgment(
        ranking=ranking, strengths=list(first.strengths), marks=marks, rationale="Because.", seconds_spent=4.5,
        revision=1,
    )  # fmt: skip
    initial = initial_of_judgment(judgment, NAMES, (99, 11, "Better."))
    shown = form(initial=initial, **EVERYTHING)
    values = {name: shown[name].value() for name in shown.fields if name != "request_key"}
    typed = {name: value for name, value in values.items() if value is not None and value is not False}
    assert answer(typed, **EVERYTHING) == first


def test_a_judgment_with_an_edit_is_corrected_without_it_where_edits_are_no_longer_taken():
    ranking = [[11], [99], [22], [33]]
    judgment = Judgment(ranking=ranking, strengths=["slightly_better", "significantly_better", "better"], revision=1)
    initial = initial_of_judgment(judgment, NAMES, (99, 22, "Better."), takes_edits=False)
    typed = {name: value for name, value in initial.items() if value not in (None, [])}
    said = answer(typed, allow_edits=False)
    assert said.ranking == ((11,), (22,), (33,))
    assert said.strengths == ("significantly_better", "better")  # A over B is what it was over the edit, or more


# Where it came from


def test_a_page_says_which_revision_and_which_keys_it_knows_of():
    keys = [uuid.uuid4(), uuid.uuid4()]
    sent = form({**RANKS, "based_on": "2", "earlier_keys": " ".join(map(str, keys))})
    assert sent.is_valid()
    assert sent.basis() == Basis(2, keys)


def test_a_program_need_not_say_what_its_answer_is_based_on():
    sent = form(RANKS)
    assert sent.is_valid()
    assert sent.basis() is None


def test_keys_that_are_none_are_refused():
    assert "Reload the page" in errors({**RANKS, "earlier_keys": "x"})["earlier_keys"][0]
