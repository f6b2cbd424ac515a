"""Signing up, in and out over the API, and one's own account."""

from typing import Any

from allauth.account.adapter import get_adapter
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit, registration
from accounts.api.bodies import ChangesNeedBody
from accounts.api.schema import BodyOnDelete, refusals
from accounts.api.serializers import (
    DeletionSerializer,
    LeavingSerializer,
    LoginSerializer,
    MeSerializer,
    RefreshSerializer,
    RegisterSerializer,
    TicketSerializer,
    TokensSerializer,
)
from accounts.authentication import sessions, sign_ins
from accounts.authentication.bearer import signed_in
from accounts.data import deletion
from accounts.errors import (
    BirthdateLocked,
    InvalidCredentials,
    InvalidToken,
    InvalidTotp,
    LastAdmin,
    NoSession,
    Overloaded,
    RateLimited,
    RegistrationClosed,
    TokenReused,
    TotpRequired,
)
from accounts.limits import LOGIN, REFRESH, SIGN_UP, TICKET
from accounts.mfa import second_factor
from accounts.models import Profile, Session, SocketTicket, User
from accounts.throttling import check, client_ip, client_network
from accounts.wording import WRONG_PASSWORD

_PAIR = {
    "access_token": "eyJhbGciOiJIUzI1NiJ9…",
    "refresh_token": "eyJhbGciOiJIUzI1NiJ9…",
    "token_type": "bearer",
    "expires_in": 1800,
}
ME = {
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
        "e-mail is answered the same, however it is spelled, and nothing is changed: "
        "the `id` is nobody's, and who has the address is told by mail. Sign in with "
        "`/auth/login`; where the operator asks for it (`EMAIL_VERIFICATION`), only "
        "after following the link that is mailed.",
        request=RegisterSerializer,
        responses={201: MeSerializer}
        | refusals(400, 415, by=(RegistrationClosed, RateLimited, Overloaded)),
        examples=[
            _asked(
                "register",
                email="alice@example.com",
                password="correct horse battery",  # noqa: S106
                display_name="Alice",
                birthdate="1990-05-17",
                gender="female",
            ),
            _answered("registered", ME, 201),
        ],
    )
)
class RegisterView(generics.CreateAPIView, OpenView):
    serializer_class = RegisterSerializer

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if not registration.is_open():
            raise RegistrationClosed
        check(*SIGN_UP, client_network(request))
        return super().create(request, *args, **kwargs)


@extend_schema_view(
    post=extend_schema(
        operation_id="login",
        tags=["auth"],
        summary="Sign in",
        description="Opens a session. The same answer for an unknown e-mail, a wrong "
        "password, a deactivated account and an e-mail that is not confirmed (who has "
        "the right password gets another link by mail); five failures in five minutes "
        "close the account's door until they have passed. An account that was to be "
        "deleted is kept by signing in. Who has a second factor sends `totp` along, a "
        "code of the app or a recovery code; each is good once, and ten wrong ones in "
        "a row close this door and that of the page for fifteen minutes. Who needs one "
        "and has none gets a session in which everything but `/me` and `/me/totp` is "
        "refused as `totp_setup_required`.",
        request=LoginSerializer,
        responses={200: TokensSerializer}
        | refusals(
            400,
            415,
            by=(
                InvalidCredentials,
                TotpRequired,
                InvalidTotp,
                RateLimited,
                Overloaded,
            ),
        ),
        examples=[
            _asked(
                "sign in",
                email="alice@example.com",
                password="correct horse battery",  # noqa: S106
            ),
            _asked(
                "sign in with a second factor",
                email="alice@example.com",
                password="correct horse battery",  # noqa: S106
                totp="287082",
            ),
            _answered("signed in", _PAIR),
        ],
    )
)
class LoginView(OpenView):
    serializer_class = LoginSerializer

    def post(self, request: Request) -> Response:
        check(*LOGIN, client_network(request))
        given = self.validated()
        user = authenticated(request, given["email"], given["password"])
        if user is None or not user.is_active:
            raise InvalidCredentials
        basis = sign_ins.basis_of(user)
        if second_factor.is_enabled(user):
            if not (code := given.get("totp")):
                raise TotpRequired
            if not second_factor.verify(user, code):
                raise InvalidTotp
        tokens = sessions.open_session(user, basis=basis, **self.device())
        deletion.keep(user)
        audit.record("session.opened", actor=user, of=user, via="api")
        return Response(TokensSerializer(tokens).data)


@extend_schema_view(
    post=extend_schema(
        operation_id="refresh",
        tags=["auth"],
        summary="Exchange a refresh token",
        description="Answers a new pair; the old refresh token is dead. One that was "
        "exchanged before is refused as `token_reused`, and its session is revoked "
        "with all its tokens, unless it is the one exchanged last, within ten seconds, "
        "from the same address and user agent: then it is taken for a client that "
        "refreshed twice at once, and the session goes on.",
        request=RefreshSerializer,
        responses={200: TokensSerializer}
        | refusals(400, 415, by=(InvalidToken, TokenReused, RateLimited)),
        examples=[
            _asked("refresh", refresh_token="eyJhbGciOiJIUzI1NiJ9…"),  # noqa: S106
            _answered("a new pair", _PAIR),
        ],
    )
)
class RefreshView(OpenView):
    serializer_class = RefreshSerializer

    def post(self, request: Request) -> Response:
        check(*REFRESH, client_network(request))
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
        "Good once, for 30 seconds. A token of another service gets none.",
        request=None,
        responses={200: TicketSerializer} | refusals(401, by=(NoSession, RateLimited)),
        examples=[_answered("a ticket", {"ticket": "Zk3v…", "expires_in": 30})],
    )
)
@method_decorator(never_cache, name="dispatch")
class TicketView(generics.GenericAPIView):
    serializer_class = TicketSerializer

    def post(self, request: Request) -> Response:
        check(*TICKET, str(signed_in(request).pk))
        session = request.auth
        if not isinstance(session, Session):
            raise NoSession
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
        examples=[_answered("me", ME)],
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
            _answered("changed", ME),
        ],
    ),
    delete=extend_schema(
        operation_id="delete_me",
        tags=["me"],
        summary="Delete my account",
        description="Needs the current password; of who has none a code of the second "
        "factor, and of who has neither the e-mail. The refusal of an empty body names "
        "which. Ends every session at once, and deletes the account with everything in "
        "it when the days of grace are over; signing in before `delete_at`, over the "
        "API or on the page, keeps it. Where the operator grants no days it is "
        "`is_final`: closed at once, and deleted in the background.",
        request=LeavingSerializer,
        responses={202: DeletionSerializer}
        | refusals(400, 401, 415, by=(LastAdmin, RateLimited, Overloaded)),
        examples=[
            _asked("delete", password="correct horse battery"),  # noqa: S106
            _asked("delete without a password", code="287082"),
            _asked("delete with neither", email="alice@example.com"),
            _answered(
                "to be deleted",
                {"delete_at": "2026-12-05T09:30:00Z", "is_final": False},
                202,
            ),
        ],
    ),
)
@method_decorator(never_cache, name="dispatch")
class MeView(ChangesNeedBody, generics.RetrieveUpdateDestroyAPIView):
    serializer_class = MeSerializer
    http_method_names = ["get", "patch", "delete", "head", "options"]
    before_second_factor = True
    schema = BodyOnDelete()

    def get_object(self) -> Profile:
        return signed_in(self.request).profile

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        user = signed_in(request)
        proof = LeavingSerializer(
            data=request.data, context=self.get_serializer_context()
        )
        proof.is_valid(raise_exception=True)
        deletion.ask(user)
        told = {"delete_at": user.delete_at, "is_final": deletion.is_final(user)}
        return Response(DeletionSerializer(told).data, status=202)


def authenticated(request: Request, email: str, password: str) -> User | None:
    """Return whose credentials these are, counting failures as the pages do.

    Raises RateLimited after too many. An inactive user is returned, too.
    """
    return get_adapter().authenticate(request._request, email=email, password=password)


def confirm_password(
    request: Request, password: str, *, field: str = "password"
) -> None:
    """Raise a ValidationError unless `password` is the one of who asks."""
    user = authenticated(request, signed_in(request).email, password)
    if user is None or user != request.user:
        raise serializers.ValidationError({field: WRONG_PASSWORD})
