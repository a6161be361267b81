"""A select that writes its own few lines of HTML.

Django renders a template for each option, and a page of nine completions has a hundred of them: milliseconds
for every comparison that somebody waits for. The markup is Django's own (tested); groups of options are left out.
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


_SELECTED = mark_safe(" selected")
