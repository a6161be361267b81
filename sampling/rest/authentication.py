"""Who asks, and what they may do: a bearer token with its scopes, or the session of a person in the browser."""

from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from sampling.models import ApiToken, Scope
from sampling.rest.tokens import live_token

KEYWORD = "bearer"


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer wst_...``"""

    def authenticate(self, request: Request):
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != KEYWORD.encode():
            return None
        try:
            (text,) = (word.decode("ascii") for word in words[1:])
        except ValueError:  # also not ASCII
            raise AuthenticationFailed("The Authorization header must read: Bearer, a space, the token.") from None
        token = live_token(text)
        if token is None:
            raise AuthenticationFailed(
                "This token is unknown, revoked or has run out. Make another one on your page of API tokens."
            )
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="whetstone"'


AUTHENTICATION = [TokenAuthentication, SessionAuthentication]


class HasScope(BasePermission):
    """The token's scopes suffice; a person's session has all. ``view.scopes``: action -> scope, else read or write."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, ApiToken):
            return True
        needed = scope_of(view, request.method)
        self.message = f'This token lacks the scope "{needed}". Make one that has it.'
        return needed in request.auth.scopes


def scope_of(view: APIView, method: str) -> Scope:
    by_action = getattr(view, "scopes", {})
    usual = Scope.READ if method in SAFE_METHODS else getattr(view, "write_scope", Scope.MANAGE)
    return by_action.get(getattr(view, "action", None), usual)


class IsStaff(BasePermission):
    """What concerns the whole site: prompts, models, sampling runs, rounds."""

    message = "Only staff may use this. Ask whoever runs this site."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(request.user and request.user.is_staff)
