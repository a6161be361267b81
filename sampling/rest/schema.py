"""The OpenAPI 3.1 schema: made of the code that answers, by drf-spectacular, with the problems that any address has."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from sampling.rest.authentication import scope_of
from sampling.rest.idempotency import HEADER, MAX_LENGTH
from sampling.rest.problems import MEDIA_TYPE

# Status -> when. 404 and 409 are said of every address that has a row in it.
ALWAYS = {"400": "The input is not usable.", "401": "No usable token.", "403": "Not allowed, or a scope is missing."}
OF_A_ROW = {"404": "There is no such row, or you may not see it."}
OF_A_CHANGE = {
    "409": "The row is in another state, or the same request is being carried out.",
    "415": "The body is not JSON.",
    "422": "The Idempotency-Key came with another request before.",
}


class BearerToken(OpenApiAuthenticationExtension):
    target_class = "sampling.rest.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "wst_...", "description": "A token of yours."}


class Described(AutoSchema):
    """Adds the scope to each description and the Idempotency-Key to whatever changes something."""

    def get_description(self) -> str:
        said = super().get_description() or ""
        scope = scope_of(self.view, self.method)
        return f"{said}\n\nScope: `{scope}`.".strip()

    def get_override_parameters(self) -> list[Any]:
        found = super().get_override_parameters()
        if self.method in ("GET", "HEAD", "OPTIONS"):
            return found
        key = OpenApiParameter(
            HEADER,
            {"type": "string", "maxLength": MAX_LENGTH, "pattern": "^[ -~]*$"},
            OpenApiParameter.HEADER,
            description="Repeat the request with the same key: it is carried out once.",
        )
        return [*found, key]


def with_problems(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A postprocessing hook: problem details for the statuses that are not worth saying at each view."""
    result["components"]["schemas"]["Problem"] = _PROBLEM
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            said = ALWAYS | (OF_A_ROW if "{" in path or "cursor" in str(operation.get("parameters")) else {})
            if method not in ("get", "head", "options"):
                said |= OF_A_CHANGE
            for status, when in said.items():
                operation["responses"].setdefault(status, _response(when))
    return result


_PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and the remedy."},
        "errors": {"type": "object", "additionalProperties": {}, "description": "By field."},
    },
}


def _response(when: str) -> dict[str, Any]:
    return {"description": when, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
