"""Signing up, in and out over the API, and one's own account."""

from typing import Any

from allauth.account.adapter import get_adapter
from django.core.exceptions import ValidationError
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import registration, sessions
from accounts.api.schema import BodyOnDelete, refusals
from accounts.api.serializers import (
    LoginSerializer,
    MeSerializer,
    PasswordSerializer,
    RefreshSerializer,
    RegisterSerializer,
    TicketSerializer,
    TokensSerializer,
)
from accounts.bearer import signed_in
from accounts.errors import (
    BirthdateLocked,
    InvalidCredentials,
    InvalidToken,
    LastAdmin,
    RateLimited,
    RegistrationClosed,
    TokenReused,
)
from accounts.models import Profile, Session, SocketTicket, User
from accounts.throttling import check, client_ip, client_network

#: What allauth counts failures in (ACCOUNT_RATE_LIMITS["login_failed"]), in seconds.
FAILURES_COUNT_FOR = 300

_PAIR = {
    "access_token": "eyJhbGciOiJIUzI1NiJ9…",
    "refresh_token": "eyJhbGciOiJIUzI1NiJ9…",
    "token_type": "bearer",
    "expires_in": 1800,
}
_ME = {
    "id": "6f1f2c4e-8f2a-4f0e-9d56-0f5a3a4d7c11",
    "email": "alice@example.com",
    "role": "worker",
    "plan": None,
    "display_name": "Alice",
    "birthdate": "1990-05-17",
    "gender": "female",
    "language": "en",
    "time_zone": "Europe/Madrid",
    "avatar_url": None,
    "created_at": "2026-11-21T09:30:00Z",
}


def _asked(name: str, **body: Any) -> OpenApiExample:
    return OpenApiExample(name, value=body, request_only=True)


def _answered(name: str, body: Any, status: int = 200) -> OpenApiExample:
    return OpenApiExample(
        name, value=body, response_only=True, status_codes=[str(status)]
    )


@method_decorator(never_cache, name="dispatch")
class OpenView(generics.GenericAPIView):
    """What is asked before one is signed in; a stale token does no harm here."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def validated(self) -> dict[str, Any]:
        serializer = self.get_serializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def device(self) -> dict[str, str]:
        return {
            "ip": client_ip(self.request),
            "user_agent": self.request.headers.get("User-Agent", ""),
        }


@extend_schema_view(
    post=extend_schema(
        operation_id="register",
        tags=["auth"],
        summary="Make an account",
        description="Refused where the operator makes the accounts. A registered "
        "e-mail is refused as `invalid` in the field `email`, however it is spelled.",
        request=RegisterSerializer,
        responses={201: MeSerializer}
        | refusals(400, 415, by=(RegistrationClosed, RateLimited)),
        examples=[
            _asked(
                "register",
                email="alice@example.com",
                password="correct horse battery",  # noqa: S106
                display_name="Alice",
                birthdate="1990-05-17",
                gender="female",
            ),
            _answered("registered", _ME, 201),
        ],
    )
)
class RegisterView(generics.CreateAPIView, OpenView):
    serializer_class = RegisterSerializer

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if not registration.is_open():
            raise RegistrationClosed
        check("register", "30/m", client_network(request))
        return super().create(request, *args, **kwargs)


@extend_schema_view(
    post=extend_schema(
        operation_id="login",
        tags=["auth"],
        summary="Sign in",
        description="Opens a session. The same answer for an unknown e-mail, a wrong "
        "password and a deactivated account; five failures in five minutes close the "
        "account's door until they have passed.",
        request=LoginSerializer,
        responses={200: TokensSerializer}
        | refusals(400, 415, by=(InvalidCredentials, RateLimited)),
        examples=[
            _asked(
                "sign in",
                email="alice@example.com",
                password="correct horse battery",  # noqa: S106
            ),
            _answered("signed in", _PAIR),
        ],
    )
)
class LoginView(OpenView):
    serializer_class = LoginSerializer

    def post(self, request: Request) -> Response:
        check("login", "30/m", client_network(request))
        given = self.validated()
        user = authenticated(request, given["email"], given["password"])
        if user is None or not user.is_active:
            raise InvalidCredentials
        tokens = sessions.open_session(user, **self.device())
        return Response(TokensSerializer(tokens).data)


@extend_schema_view(
    post=extend_schema(
        operation_id="refresh",
        tags=["auth"],
        summary="Exchange a refresh token",
        description="Answers a new pair; the old refresh token is dead. One that was "
        "exchanged before is refused as `token_reused`, and its session is revoked "
        "with all its tokens, unless it comes within ten seconds of the exchange: "
        "then it is taken for a client that refreshed twice at once.",
        request=RefreshSerializer,
        responses={200: TokensSerializer}
        | refusals(400, 415, by=(InvalidToken, TokenReused)),
        examples=[
            _asked("refresh", refresh_token="eyJhbGciOiJIUzI1NiJ9…"),  # noqa: S106
            _answered("a new pair", _PAIR),
        ],
    )
)
class RefreshView(OpenView):
    serializer_class = RefreshSerializer

    def post(self, request: Request) -> Response:
        refresh = self.validated()["refresh_token"]
        tokens = sessions.rotate(refresh, **self.device())
        return Response(TokensSerializer(tokens).data)


@extend_schema_view(
    post=extend_schema(
        operation_id="logout",
        tags=["auth"],
        summary="Sign out",
        description="Ends the session of a refresh token, with its access tokens. "
        "Repeating it, or sending a token that means nothing, answers the same.",
        request=RefreshSerializer,
        responses={204: None} | refusals(400, 415),
        examples=[
            _asked("sign out", refresh_token="eyJhbGciOiJIUzI1NiJ9…"),  # noqa: S106
        ],
    )
)
class LogoutView(OpenView):
    serializer_class = RefreshSerializer

    def post(self, request: Request) -> Response:
        sessions.end(self.validated()["refresh_token"])
        return Response(status=204)


@extend_schema_view(
    post=extend_schema(
        operation_id="ws_ticket",
        tags=["auth"],
        summary="Get a ticket for a socket",
        description="For clients that cannot send a header when they open a socket. "
        "Good once, for 30 seconds.",
        request=None,
        responses={200: TicketSerializer} | refusals(401),
        examples=[_answered("a ticket", {"ticket": "Zk3v…", "expires_in": 30})],
    )
)
@method_decorator(never_cache, name="dispatch")
class TicketView(generics.GenericAPIView):
    serializer_class = TicketSerializer

    def post(self, request: Request) -> Response:
        session = request.auth
        assert isinstance(session, Session)
        return Response(
            {
                "ticket": sessions.issue_ticket(session),
                "expires_in": int(SocketTicket.LIFETIME.total_seconds()),
            }
        )


@extend_schema_view(
    get=extend_schema(
        operation_id="me",
        tags=["me"],
        summary="My account",
        responses={200: MeSerializer} | refusals(401),
        examples=[_answered("me", _ME)],
    ),
    patch=extend_schema(
        operation_id="edit_me",
        tags=["me"],
        summary="Change my profile",
        description="The birthdate can be set once; a change is refused as "
        "`birthdate_locked`. What is not a person's own to change is ignored.",
        responses={200: MeSerializer} | refusals(400, 401, 415, by=(BirthdateLocked,)),
        examples=[
            _asked("move", time_zone="Europe/Madrid", language="es"),
            _answered("changed", _ME),
        ],
    ),
    delete=extend_schema(
        operation_id="delete_me",
        tags=["me"],
        summary="Delete my account",
        description="Deletes the account and everything in it, at once and for good. "
        "Needs the current password.",
        request=PasswordSerializer,
        responses={204: None} | refusals(400, 401, 415, by=(LastAdmin, RateLimited)),
        examples=[_asked("delete", password="correct horse battery")],  # noqa: S106
    ),
)
@method_decorator(never_cache, name="dispatch")
class MeView(generics.RetrieveUpdateDestroyAPIView):
    serializer_class = MeSerializer
    http_method_names = ["get", "patch", "delete", "head", "options"]
    schema = BodyOnDelete()

    def get_object(self) -> Profile:
        return signed_in(self.request).profile

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = PasswordSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        confirm_password(request, serializer.validated_data["password"])
        registration.leave(signed_in(request))
        return Response(status=204)


def authenticated(request: Request, email: str, password: str) -> User | None:
    """Return whose credentials these are, counting failures as the pages do.

    Raises RateLimited after too many. An inactive user is returned, too.
    """
    try:
        return get_adapter().authenticate(
            request._request, email=email, password=password
        )
    except ValidationError as error:
        raise RateLimited(FAILURES_COUNT_FOR) from error


def confirm_password(request: Request, password: str) -> None:
    """Raise a ValidationError unless `password` is the one of who asks."""
    user = authenticated(request, signed_in(request).email, password)
    if user is None or user != request.user:
        raise serializers.ValidationError(
            {"password": _("This is not your current password.")}
        )
