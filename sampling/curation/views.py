"""Filters: to be written."""

from django.http import Http404


def filter_sets(request, **kwargs):
    raise Http404("Not built yet.")


def filter_set(request, **kwargs):
    raise Http404("Not built yet.")


def filter_set_new(request, **kwargs):
    raise Http404("Not built yet.")


def filter_set_delete(request, **kwargs):
    raise Http404("Not built yet.")


def curation_new(request, **kwargs):
    raise Http404("Not built yet.")


def curation(request, **kwargs):
    raise Http404("Not built yet.")


def curation_keep(request, **kwargs):
    raise Http404("Not built yet.")


def curation_cancel(request, **kwargs):
    raise Http404("Not built yet.")
