"""``{{ run.elapsed|duration }}``, in the pages of every app."""

from django import template

from sampling.durations import duration

register = template.Library()
register.filter(duration)
