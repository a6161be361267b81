"""Imports: to be written."""

from django.http import Http404


def data_imports(request, **kwargs):
    raise Http404("Not built yet.")


def import_new(request, **kwargs):
    raise Http404("Not built yet.")


def data_import(request, **kwargs):
    raise Http404("Not built yet.")


def import_settings(request, **kwargs):
    raise Http404("Not built yet.")


def import_start(request, **kwargs):
    raise Http404("Not built yet.")


def import_cancel(request, **kwargs):
    raise Http404("Not built yet.")


def import_retry(request, **kwargs):
    raise Http404("Not built yet.")


def import_undo(request, **kwargs):
    raise Http404("Not built yet.")


def import_rejects(request, **kwargs):
    raise Http404("Not built yet.")
