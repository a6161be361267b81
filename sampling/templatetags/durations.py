"""``{{ run.elapsed|duration }}``, in the pages of every app."""

from django import template

from sampling.durations import duration, roughly

register = template.Library()
register.filter(duration)
register.filter(roughly)
