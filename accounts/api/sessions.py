"""Where I am signed in, and my password."""

from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import Http404
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.fields import get_error_detail
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit, passwords
from accounts.api.schema import refusals
from accounts.api.serializers import PasswordField
from accounts.api.views import confirm_password
from accounts.authentication import sessions
from accounts.authentication.bearer import signed_in
from accounts.errors import Overloaded, PasswordChangeClosed, RateLimited

_SESSION = {
    "id": "0b1f8e2e-6d0c-5c43-8f0a-4b8f7d5b6f11",
    "kind": "browser",
    "device": "Firefox on Linux",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 "
    "Firefox/128.0",
    "ip": "203.0.113.7",
    "created_at": "2026-11-20T09:30:00Z",
    "last_seen_at": "2026-11-21T09:30:00Z",
    "is_current": False,
}


class SessionSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=["browser", "api"])
    device = serializers.CharField(help_text="What the user agent says, in words.")
    user_agent = serializers.CharField()
    ip = serializers.IPAddressField(allow_null=True)
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(help_text="To the minute.")
    is_current = serializers.SerializerMethodField(
        help_text="Whether it is the one that asks."
    )

    def get_is_current(self, session: sessions.OpenSession) -> bool:
        return session.credential == signed_in(self.context["request"]).credential


class EndedSerializer(serializers.Serializer):
    ended = serializers.IntegerField(help_text="How many sessions were ended.")


class NewPasswordSerializer(serializers.Serializer):
    current_password = PasswordField()
    new_password = PasswordField()


@extend_schema_view(
    get=extend_schema(
        operation_id="my_sessions",
        tags=["me"],
        summary="Where I am signed in",
        description="Browsers and programs, the most recently used first.",
        responses={200: SessionSerializer(many=True)} | refusals(401),
        examples=[
            OpenApiExample(
                "a browser", value=_SESSION, response_only=True, status_codes=["200"]
            )
        ],
    )
)
@method_decorator(never_cache, name="dispatch")
class SessionsView(generics.ListAPIView):
    serializer_class = SessionSerializer

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return []
        return sessions.open_sessions(signed_in(self.request))


@extend_schema_view(
    delete=extend_schema(
        operation_id="end_my_session",
        tags=["me"],
        summary="End a session",
        description="Its next request is refused, its sockets are closed within five "
        "seconds, and the replies it asked for stop; their words are kept. The "
        "session that asks may be ended, too.",
        responses={204: None} | refusals(401, 404),
    )
)
@method_decorator(never_cache, name="dispatch")
class SessionView(generics.GenericAPIView):
    def delete(self, request: Request, pk: UUID) -> Response:
        user = signed_in(request)
        session = sessions.find(user, pk)
        if session is None:
            raise Http404
        sessions.end_session(user, session.credential)
        audit.record("session.ended", actor=user, of=user, session=str(session.id))
        return Response(status=204)


@extend_schema_view(
    post=extend_schema(
        operation_id="end_my_other_sessions",
        tags=["me"],
        summary="Sign out everywhere else",
        request=None,
        responses={200: EndedSerializer} | refusals(401),
        examples=[
            OpenApiExample(
                "ended", value={"ended": 3}, response_only=True, status_codes=["200"]
            )
        ],
    )
)
@method_decorator(never_cache, name="dispatch")
class EndOthersView(generics.GenericAPIView):
    serializer_class = EndedSerializer

    def post(self, request: Request) -> Response:
        user = signed_in(request)
        ended = sessions.end_all(user, keep=user.credential)
        audit.record("sessions.ended", actor=user, of=user, count=ended)
        return Response({"ended": ended})


@extend_schema_view(
    post=extend_schema(
        operation_id="change_my_password",
        tags=["me"],
        summary="Change my password",
        description="Needs the current one, and ends every session but the one that "
        "asks. The operator may have closed it for all but some e-mail domains.",
        request=NewPasswordSerializer,
        responses={204: None}
        | refusals(400, 401, 415, by=(PasswordChangeClosed, RateLimited, Overloaded)),
        examples=[
            OpenApiExample(
                "change it",
                value={
                    "current_password": "correct horse battery",
                    "new_password": "a tertulia at the corner",
                },
                request_only=True,
            )
        ],
    )
)
@method_decorator(never_cache, name="dispatch")
class PasswordView(generics.GenericAPIView):
    serializer_class = NewPasswordSerializer

    def post(self, request: Request) -> Response:
        user = signed_in(request)
        if not passwords.may_change(user):
            raise PasswordChangeClosed
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        new = given.validated_data["new_password"]
        current = given.validated_data["current_password"]
        confirm_password(request, current, field="current_password")
        try:
            validate_password(new, user)
        except ValidationError as error:
            detail = {"new_password": get_error_detail(error)}
            raise serializers.ValidationError(detail) from error
        passwords.change(user, new)
        return Response(status=204)
