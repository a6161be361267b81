"""The select without templates."""

import pytest
from django import forms
from django.test.html import parse_html

from annotation.task.plain_select import PlainSelect

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
