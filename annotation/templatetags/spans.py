"""{{ timedelta|span }} and {{ number|seconds }}: how long, as a person would say it."""

from datetime import timedelta

from django import template

from annotation.projects.pace import in_words

register = template.Library()


@register.filter
def span(value: timedelta) -> str:
    return in_words(value)


@register.filter
def seconds(value: float) -> str:
    return f"{value:.0f} s" if value < 120 else in_words(timedelta(seconds=value))
