"""Webhooks: to be written."""

from django.http import Http404


def webhooks(request, **kwargs):
    raise Http404("Not built yet.")


def webhook_new(request, **kwargs):
    raise Http404("Not built yet.")


def webhook(request, **kwargs):
    raise Http404("Not built yet.")


def webhook_delete(request, **kwargs):
    raise Http404("Not built yet.")


def webhook_ping(request, **kwargs):
    raise Http404("Not built yet.")


def delivery_again(request, **kwargs):
    raise Http404("Not built yet.")
