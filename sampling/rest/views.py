"""The base of every resource: authentication, scopes, pages, filters, idempotency, one schema."""

from typing import Any

from rest_framework import viewsets
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from sampling.models import Scope
from sampling.rest import idempotency
from sampling.rest.authentication import AUTHENTICATION, HasScope, IsStaff
from sampling.rest.problems import ProblemRenderer


class Resource(viewsets.GenericViewSet):
    """For whoever is signed in; ``scopes`` names the scope of each action that differs from the usual one.

    Reading needs the scope ``read``, everything else ``write_scope``. Which rows a user may see is ``get_queryset``'s
    to say: what they may not see is not found.
    """

    authentication_classes = AUTHENTICATION
    permission_classes = [IsAuthenticated, HasScope]
    write_scope = Scope.MANAGE
    scopes: dict[str, Scope] = {}
    lookup_value_converter = "int"

    _noted = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._noted = idempotency.begin(request)

    def handle_exception(self, error: Exception) -> Response:
        if isinstance(error, idempotency.Replayed):
            if error.response.status_code >= 400:
                self.request.accepted_renderer = ProblemRenderer()
            return error.response
        return super().handle_exception(error)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self._noted is not None:
            noted, self._noted = self._noted, None
            if isinstance(response, Response):
                idempotency.end(noted, response)
            else:
                noted.delete()  # a file: it is made anew
        return response


class SiteResource(Resource):
    """For staff: what concerns the whole site."""

    permission_classes = [IsAuthenticated, IsStaff, HasScope]
