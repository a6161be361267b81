"""Widgets that write their own few lines of HTML.

Django renders a template for each, and for each option of a select, of which a page of nine completions has a hundred:
milliseconds for every comparison that somebody waits for. The markup is Django's own (tested); groups of options are
left out.
"""

from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe


class PlainSelect(forms.Select):
    """For a flat list of choices."""

    def render(self, name: str, value: Any, attrs: dict | None = None, renderer: Any = None) -> SafeString:
        chosen = str(value) if value is not None else ""
        options = format_html_join(
            "\n",
            '<option value="{}"{}>{}</option>',
            (
                ("" if key is None else key, _SELECTED if str(key) == chosen else "", label)
                for key, label in self.choices
            ),
        )
        attributes = flatatt(self.build_attrs(self.attrs, attrs))
        return format_html('<select name="{}"{}>{}</select>', name, attributes, options)


class PlainHidden(forms.HiddenInput):
    def render(self, name: str, value: Any, attrs: dict | None = None, renderer: Any = None) -> SafeString:
        shown = self.format_value(value)
        given = "" if shown is None else format_html(' value="{}"', shown)
        return format_html(
            '<input type="hidden" name="{}"{}{}>', name, given, flatatt(self.build_attrs(self.attrs, attrs))
        )


class PlainTextarea(forms.Textarea):
    def render(self, name: str, value: Any, attrs: dict | None = None, renderer: Any = None) -> SafeString:
        # The line's end is Django's: a browser drops the first one, and the text may begin with one.
        attributes = flatatt(self.build_attrs(self.attrs, attrs))
        return format_html('<textarea name="{}"{}>\n{}</textarea>', name, attributes, self.format_value(value) or "")


_SELECTED = mark_safe(" selected")
