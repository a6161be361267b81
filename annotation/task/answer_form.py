"""One answer as the page sends it: a rank for each letter, a strength for each gap, marks, an edit, a reason.

A field is there only if the project asks for it. The same form reads drafts: then nothing is missing yet, and
whatever is sound is kept. A letter is a completion's place on the page of one assignment.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from django import forms

from annotation.actions import Answer, AnsweredMeanwhile, Basis, Edit
from annotation.models import Judgment, Project, Rationale
from annotation.rules.marks import Mark, Safety
from annotation.rules.ranking import DEFAULT_STRENGTH, EDIT, Ranking, ranking_from_ranks, with_edit, without
from annotation.task.plain_widgets import PlainHidden, PlainSelect, PlainTextarea

EDIT_CHARACTERS = 100_000  # what may be edited at all is half as long
RATIONALE_CHARACTERS = 5_000
EARLIER_KEYS = 50
OF_ONE_PAGE = ("request_key", "based_on", "earlier_keys")  # of the answer's way here, and no part of it
SAFETY_CHOICES = [(safety.value, safety.value) for safety in Safety]


class LinesField(forms.CharField):
    """Text of several lines. Browsers count and show a line's end as one character, but send two."""

    def to_python(self, value: Any) -> str:
        return super().to_python(value).replace("\r\n", "\n")


class KeysField(forms.CharField):
    """Request keys, with spaces between them."""

    def to_python(self, value: Any) -> list[uuid.UUID]:
        try:
            return [uuid.UUID(key) for key in super().to_python(value).split()[-EARLIER_KEYS:]]
        except ValueError:
            raise forms.ValidationError("These are no keys. Reload the page and send the answer again.") from None


class AnswerForm(forms.Form):
    """``names``: letter -> completion id, in the order of display. ``is_scripted``: sent by the page's script.

    ``based_on`` is the revision that the page was opened on, 0 for none. A program may leave it out, and then nothing
    is checked: it always replaces its own answer.
    """

    request_key = forms.UUIDField(widget=PlainHidden)
    based_on = forms.IntegerField(widget=PlainHidden, required=False, min_value=0, max_value=2**31 - 1)
    earlier_keys = KeysField(widget=PlainHidden, required=False)
    # When a draft was written, in milliseconds by the browser's clock: of two drafts the newer one counts.
    drafted_at = forms.IntegerField(widget=PlainHidden, required=False, min_value=0, max_value=10**15)
    seconds_spent = forms.FloatField(widget=PlainHidden, required=False, min_value=0, max_value=7 * 86_400)

    def __init__(
        self,
        *args: Any,
        names: Mapping[str, int],
        project: Project,
        is_draft: bool = False,
        is_scripted: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.is_scripted = is_scripted
        self.names = names
        self.project = project
        self.is_draft = is_draft
        self.aspects = project.asked_aspects
        self.defects = project.asked_defects
        self._add_ranks()
        for letter in names:
            self._add_marks(letter)
        if project.allow_all_bad:
            self.fields["all_bad"] = forms.BooleanField(required=False, label="All are bad")
        if project.allow_edits:
            self._add_edit()
        if project.rationale != Rationale.OFF:
            self._add_rationale()

    def _add_ranks(self) -> None:
        places = self._places()
        for letter in self.names:
            self.fields[f"rank_{letter}"] = _place_field(places, f"Rank of {letter}")
        levels = [(level.value, self.project.scale.words(level)) for level in self.project.scale.levels]
        for gap in range(1, len(places) - 1 if levels else 1):
            self.fields[f"strength_{gap}"] = forms.ChoiceField(
                choices=levels, widget=PlainSelect, required=False, label=f"{gap} over {gap + 1}",
                initial=DEFAULT_STRENGTH.value,
            )  # fmt: skip

    def _places(self) -> list[tuple[Any, str]]:
        """An edit has a place of its own, so that there is one more."""
        last = len(self.names) + self.project.allow_edits
        return [("", "?"), *((place, str(place)) for place in range(1, last + 1))]

    def _add_marks(self, letter: str) -> None:
        if self.project.ask_safety:
            self.fields[f"safety_{letter}"] = forms.ChoiceField(
                choices=SAFETY_CHOICES, widget=forms.RadioSelect, required=False, label=f"Safety of {letter}"
            )
        for aspect in self.aspects:
            self.fields[f"aspect_{aspect.key}_{letter}"] = forms.TypedChoiceField(
                choices=[(step, str(step)) for step in aspect.steps], coerce=int, empty_value=None,
                widget=forms.RadioSelect, required=False, label=f"{aspect.label} of {letter}",
            )  # fmt: skip
        if self.defects:
            self.fields[f"defects_{letter}"] = forms.MultipleChoiceField(
                choices=[(defect.key, defect.label) for defect in self.defects],
                widget=forms.CheckboxSelectMultiple, required=False, label=f"Defects of {letter}",
            )  # fmt: skip

    def _add_edit(self) -> None:
        self.fields["edit_of"] = forms.ChoiceField(
            choices=[("", "none"), *((letter, letter) for letter in self.names)], widget=PlainSelect,
            required=False, label="Better answer, an edit of",
        )  # fmt: skip
        self.fields["edit_text"] = LinesField(
            widget=PlainTextarea(attrs={"rows": 8}), required=False, strip=False, max_length=EDIT_CHARACTERS,
            label="Better answer",
        )  # fmt: skip
        self.fields["rank_edit"] = _place_field(self._places(), "Rank of your better answer")

    def _add_rationale(self) -> None:
        self.fields["rationale"] = LinesField(
            widget=PlainTextarea(attrs={"rows": 3, "placeholder": "Why? What decided it?"}),
            required=False, max_length=RATIONALE_CHARACTERS,
            label="Why" if self.project.rationale == Rationale.REQUIRED else "Note",
        )  # fmt: skip

    @property
    def strength_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("strength_")]

    def mark_field(self, name: str) -> forms.BoundField | None:
        """The field of one mark, ``safety_A`` or ``defects_A``; None where it is not asked."""
        return self[name] if name in self.fields else None

    # What is wrong with it

    def clean(self) -> None:
        if self.is_draft:
            return
        for letter in self.names:
            if not self._said("all_bad"):
                self._want(f"rank_{letter}", f"{letter} has no rank yet. Rank every completion, or skip.")
            self._want(f"safety_{letter}", f"{letter} has no safety mark yet. Mark it as safe or unsafe.")
            for aspect in self.aspects:
                self._want(f"aspect_{aspect.key}_{letter}", f"{letter} is not rated for {aspect.label} yet.")
        if self.project.rationale == Rationale.REQUIRED:
            self._want("rationale", "Say why: this project wants a rationale with every answer.")
        self._check_edit()

    def _want(self, name: str, message: str) -> None:
        if name in self.fields and name not in self.errors and not self._is_given(name):
            self.add_error(name, message)

    def _check_edit(self) -> None:
        edited, text, place = (self._said(name) for name in ("edit_of", "edit_text", "rank_edit"))
        # The page's script keeps the words of an edit that was taken away, so that undo can bring them back.
        if text and text.strip() and not edited and not self.is_scripted and "edit_of" not in self.errors:
            self.add_error("edit_of", "Choose which completion your better answer is an edit of, or empty it.")
        if edited and not (text or "").strip() and "edit_text" not in self.errors:
            self.add_error("edit_text", "Your better answer is empty. Write it, or take the edit away.")
        below = self._said(f"rank_{edited}")
        if edited and place and below and place >= below:
            self.add_error("rank_edit", "Your better answer must rank above what it edits. Move it up.")

    def _said(self, name: str) -> Any:
        return self.cleaned_data.get(name)

    def _is_given(self, name: str) -> bool:
        value = self.cleaned_data.get(name)
        return value is not False and value not in (None, "", [])  # but 0 is a step on some scales

    # What it says

    def draft(self) -> dict[str, Any]:
        """What is worth keeping of an answer that may be unfinished: its sound parts, by the names of the fields."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if name not in OF_ONE_PAGE and self._is_given(name)
        }  # fmt: skip

    def answer(self) -> Answer:
        """The answer by completion id, of a form that is valid."""
        edited = self._said("edit_of")
        ranking = self._ranking(edited).map({**self.names, EDIT: EDIT})
        return Answer(
            ranking=ranking.groups,
            strengths=ranking.strengths,
            marks={pk: self._mark(letter) for letter, pk in self.names.items()},
            all_bad=bool(self._said("all_bad")),
            edit=Edit(of=self.names[edited], text=self._said("edit_text")) if edited else None,
            rationale=self._said("rationale") or "",
            seconds_spent=self._said("seconds_spent"),
        )

    def basis(self) -> Basis | None:
        """What the page that sent this knows of; None where it does not say."""
        revision = self._said("based_on")
        return None if revision is None else Basis(revision, self._said("earlier_keys"))

    def learn_of(self, error: AnsweredMeanwhile) -> None:
        """Shown again, the form knows of the other answer: sent once more, it replaces that one."""
        self.data = self.data.copy()
        for name, value in {"request_key": uuid.uuid4(), "based_on": error.revision, "earlier_keys": ""}.items():
            self.data[name] = str(value)

    def _ranking(self, edited: str | None) -> Ranking:
        """By letter. What "all are bad" leaves without a rank is tied below everything that has one."""
        given = {letter: self._said(f"rank_{letter}") for letter in self.names}
        last = max((rank for rank in given.values() if rank), default=0) + 1
        ranks: dict[str, int] = {letter: rank or last for letter, rank in given.items()}
        if edited and (place := self._said("rank_edit")):
            ranks[EDIT] = place
        strengths = [
            self._said(f"strength_{gap}") or DEFAULT_STRENGTH for gap in range(1, len(set(ranks.values())))
        ]  # fmt: skip
        ranking = ranking_from_ranks(ranks, strengths)
        return ranking if not edited or EDIT in ranks else _with_edit_above(ranking, edited)

    def _mark(self, letter: str) -> Mark:
        safety = self._said(f"safety_{letter}")
        return Mark(
            safety=Safety(safety) if safety else None,
            aspects={aspect.key: self._said(f"aspect_{aspect.key}_{letter}") for aspect in self.aspects},
            defects=tuple(self._said(f"defects_{letter}") or ()),
        )


def _place_field(places: list[tuple[Any, str]], label: str) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        choices=places, widget=PlainSelect, coerce=int, empty_value=None, required=False, label=label
    )


def _with_edit_above(ranking: Ranking, edited: str) -> Ranking:
    """Nothing was said of the gap that the edit opens: it gets the default, and the other gaps keep theirs."""
    above = next(number for number, group in enumerate(ranking.groups) if edited in group)
    strengths = [*ranking.strengths[:above], DEFAULT_STRENGTH, *ranking.strengths[above:]]
    return Ranking(with_edit(ranking.groups, edited), tuple(strengths))


def initial_of_judgment(
    judgment: Judgment, names: Mapping[str, int], edit: tuple[int, int, str] | None, *, takes_edits: bool = True
) -> dict:
    """A judgment as what was typed to give it. ``edit``: the id of its edit, of what, and its text."""
    ranking = Ranking(judgment.ranking, tuple(judgment.strengths))
    if edit and not takes_edits:  # the form has no place for it any more, and none for the gap above or below it
        ranking, edit = without(ranking, edit[0]), None
    place = {pk: number for number, group in enumerate(ranking.groups, start=1) for pk in group}
    letter_of = {pk: letter for letter, pk in names.items()}
    initial: dict[str, Any] = {
        "rationale": judgment.rationale, "seconds_spent": judgment.seconds_spent, "all_bad": judgment.all_bad,
        "based_on": judgment.revision,
    }  # fmt: skip
    initial |= {f"strength_{gap}": str(strength) for gap, strength in enumerate(ranking.strengths, start=1)}
    for pk, letter in letter_of.items():
        mark = judgment.marks.get(str(pk), {})
        initial |= {f"rank_{letter}": place.get(pk), f"safety_{letter}": mark.get("safety")}
        initial |= {f"aspect_{key}_{letter}": step for key, step in (mark.get("aspects") or {}).items()}
        initial[f"defects_{letter}"] = mark.get("defects") or []
    if edit:
        pk, edit_of, text = edit
        initial |= {"edit_of": letter_of.get(edit_of, ""), "edit_text": text, "rank_edit": place[pk]}
    return initial
