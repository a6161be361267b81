"""Tokens: to be written."""

from django.http import Http404


def api_tokens(request, **kwargs):
    raise Http404("Not built yet.")


def api_token_new(request, **kwargs):
    raise Http404("Not built yet.")


def api_token_revoke(request, **kwargs):
    raise Http404("Not built yet.")
