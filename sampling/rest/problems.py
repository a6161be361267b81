"""Errors as problem details (RFC 9457): one shape for all, with the remedy in words."""

import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, ValidationError
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import set_rollback

from sampling.lifecycle import StaleState

MEDIA_TYPE = "application/problem+json"

log = logging.getLogger(__name__)


class Problem(serializers.Serializer):
    """RFC 9457, section 3. ``type`` is a name of ours; ``errors`` are by field where the input is wrong."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = serializers.DictField(required=False)


class ProblemRenderer(JSONRenderer):
    """In ASCII: what is wrong may be quoted, also what no UTF-8 can hold (half a surrogate pair)."""

    ensure_ascii = True
    media_type = MEDIA_TYPE
    format = "problem"


class TooLarge(exceptions.APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"
    default_detail = "The body is larger than 20 MB. Send fewer rows at once, or upload a file as an import."


class Conflict(exceptions.APIException):
    """Somebody else was quicker, or the row is in a state in which this cannot be done."""

    status_code = HTTPStatus.CONFLICT
    default_code = "conflict"
    default_detail = "This cannot be done in the present state."


def handler(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's EXCEPTION_HANDLER."""
    known = _as_api_exception(error)
    if known is None:
        log.exception("The API failed", exc_info=error)
        known = exceptions.APIException("Something went wrong here; the server's log says what.")
    set_rollback()
    content = problem(known)
    headers = {}
    if challenge := getattr(known, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(known, "wait", None):
        headers["Retry-After"] = str(int(wait))
    request = context.get("request")
    if request is not None:  # whatever was negotiated before: an error is always this
        request.accepted_renderer, request.accepted_media_type = ProblemRenderer(), MEDIA_TYPE
    return Response(content, status=known.status_code, headers=headers, content_type=MEDIA_TYPE)


def problem(error: exceptions.APIException) -> dict[str, Any]:
    codes = error.get_codes()
    is_by_field = isinstance(error, exceptions.ValidationError)
    content = {
        "type": f"urn:whetstone:problem:{codes if isinstance(codes, str) else 'invalid'}",
        "title": HTTPStatus(error.status_code).phrase,
        "status": int(error.status_code),
        "detail": "The input is not usable; see errors." if is_by_field else str(error.detail),
    }
    if is_by_field:
        detail = error.detail
        content["errors"] = detail if isinstance(detail, dict) else {"non_field_errors": detail}
    return content


@csrf_exempt  # else a POST to nowhere would be answered by a page
def not_found(request: HttpRequest, **anything: Any) -> JsonResponse:
    """Any address below /api/ that there is not."""
    content = problem(exceptions.NotFound(f"There is nothing at {request.path}. /api/docs/ lists the addresses."))
    return JsonResponse(content, status=content["status"], content_type=MEDIA_TYPE)


def _as_api_exception(error: Exception) -> exceptions.APIException | None:
    match error:
        case exceptions.APIException():
            return error
        case RequestDataTooBig():
            return TooLarge()
        case Http404():
            return exceptions.NotFound(str(error) or None)
        case PermissionDenied():
            return exceptions.PermissionDenied(str(error) or None)
        case StaleState():
            return Conflict(str(error))
        case ValidationError():
            return exceptions.ValidationError(by_field(error))
        case _:
            return None


def by_field(error: ValidationError) -> dict[str, list[str]]:
    if hasattr(error, "error_dict"):
        return {("non_field_errors" if name == "__all__" else name): list(said) for name, said in error}
    return {"non_field_errors": list(error.messages)}
