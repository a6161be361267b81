"""The widgets without templates."""

import pytest
from django import forms
from django.test.html import parse_html

from annotation.task.plain_widgets import PlainHidden, PlainSelect, PlainTextarea

CHOICES = [("", "?"), (1, "one"), (2, '<b>"two"</b>'), ('"', "quote")]


class Shown(forms.Form):
    own = forms.ChoiceField(choices=CHOICES, widget=PlainSelect, required=False)
    djangos = forms.ChoiceField(choices=CHOICES, required=False)


@pytest.mark.parametrize("value", [None, "", 1, "1", 2, '"', "none of them"])
def test_the_markup_is_djangos_own(value):
    form = Shown(initial={"own": value, "djangos": value})
    expected = str(form["djangos"]).replace("djangos", "own")
    assert parse_html(str(form["own"])) == parse_html(expected)


def test_so_it_is_with_an_error():
    form = Shown({"own": "none of them", "djangos": "none of them"})
    assert parse_html(str(form["own"])) == parse_html(str(form["djangos"]).replace("djangos", "own"))


@pytest.mark.parametrize("value", [None, "", 0, 7, '"><b>', "\nbegins and ends with a line's end\n"])
@pytest.mark.parametrize(
    ("own", "djangos"),
    [
        (PlainHidden(), forms.HiddenInput()),
        (
            PlainTextarea(attrs={"rows": 3, "placeholder": "Why?"}),
            forms.Textarea(attrs={"rows": 3, "placeholder": "Why?"}),
        ),
    ],
)
def test_so_is_that_of_hidden_fields_and_texts(value, own, djangos):
    attrs = {"id": "id_field", "required": True}
    ours, theirs = own.render("field", value, attrs), djangos.render("field", value, attrs)
    assert parse_html(ours) == parse_html(theirs)
    assert ours.partition(">")[2] == theirs.partition(">")[2]  # to the letter: a line's end at the beginning counts
