"""Rounds for programs: list, launch, look, cancel, retry, and the check of a round's data before it is launched.

For staff, by session or basic authentication. What is wrong is answered with 400 and the messages by field, in the
words of the launch form; what somebody else was quicker with, by 409.
"""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from rest_framework import exceptions, status
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.decorators import (
    api_view,
    authentication_classes,
    parser_classes,
    permission_classes,
    renderer_classes,
)
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import JSONParser
from rest_framework.permissions import IsAdminUser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from training import actions
from training.api import showing
from training.api.asking import CheckAsked, RoundAsked
from training.models import TrainingRound


class Pages(PageNumberPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200


def for_staff(*methods: str) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """A view of JSON alone, for staff. Basic comes first: a program without a sign-in is then asked for one (401)."""

    def decorated(view: Callable[..., Response]) -> Callable[..., Response]:
        for decorator in (
            permission_classes([IsAdminUser]),
            authentication_classes([BasicAuthentication, SessionAuthentication]),
            parser_classes([JSONParser]),
            renderer_classes([JSONRenderer]),
        ):
            view = decorator(view)
        return api_view(list(methods))(view)

    return decorated


@for_staff("GET")
def index(request: Request) -> Response:
    """The addresses, each with an example; sign in with each request (basic authentication) or by a session."""
    return Response({"addresses": showing.index()})


@for_staff("GET", "POST")
def rounds(request: Request) -> Response:
    """GET: the rounds, newest first, by pages. POST: launch one; a request_key seen before gives the round it made."""
    if request.method == "POST":
        return _launched(request)
    pages = Pages()
    page = pages.paginate_queryset(TrainingRound.objects.for_list(), request)
    return pages.get_paginated_response([showing.round_in_short(round) for round in page])


@for_staff("GET")
def round(request: Request, pk: int) -> Response:
    return Response(showing.round_in_full(_round(pk)))


@for_staff("POST")
def round_cancel(request: Request, pk: int) -> Response:
    """Ask for the round to stop. Asking again changes nothing; one that has ended otherwise is no longer to be had."""
    round = get_object_or_404(TrainingRound, pk=pk)
    actions.cancel_round(round=round)
    if round.state in (TaskState.FINISHED, TaskState.FAILED):
        return _conflict(f'Round "{round}" is {round.state} already; there is nothing to cancel.')
    return Response(showing.round_in_full(_round(pk)))


@for_staff("POST")
def round_retry(request: Request, pk: int) -> Response:
    """Queue a failed or cancelled round again."""
    round = get_object_or_404(TrainingRound, pk=pk)
    try:
        _by_field(actions.retry_round, round=round)
    except StaleState:
        round.refresh_from_db()
        return _conflict(f'Round "{round}" is {round.state}; only what failed or was cancelled is retried.')
    return Response(showing.round_in_full(_round(pk)))


@for_staff("POST")
def check(request: Request) -> Response:
    """Have a round's data checked. Asked again with the same inputs, it says how far that is, and what it found."""
    given = CheckAsked(data=request.data)
    given.is_valid(raise_exception=True)
    found = _by_field(actions.requested_check, asked=given.asked, again=request.query_params.get("again") == "1")
    content = showing.check(found, given.asked)
    return Response(content, status=status.HTTP_200_OK if found.is_over else status.HTTP_202_ACCEPTED)


def _launched(request: Request) -> Response:
    given = RoundAsked(data=request.data)
    given.is_valid(raise_exception=True)
    launched = _by_field(actions.launch_round, **given.validated_data, created_by=request.user)
    content = showing.round_in_full(_round(launched.pk))
    return Response(content, status=status.HTTP_201_CREATED, headers={"Location": content["url"]})


def _conflict(reason: str) -> Response:
    return Response({"detail": reason}, status=status.HTTP_409_CONFLICT)


def _by_field(action: Callable[..., Any], **asked: Any) -> Any:
    """What the action gives; its messages by field where it refuses."""
    try:
        return action(**asked)
    except ValidationError as error:
        raise exceptions.ValidationError(error.message_dict) from None


def _round(pk: int) -> TrainingRound:
    rows = TrainingRound.objects.for_page().select_related("previous", "cloned_from", "demonstrations", "overruled_by")
    return get_object_or_404(rows.prefetch_related("stages__model_version"), pk=pk)
