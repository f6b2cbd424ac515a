"""The operator's API: users, teams, and what was done by whom.

For administrators, and for programs with the operator key (`operator_key.py`). What
happens when an account is changed is decided in `administration.py`.
"""

from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Count, Q, QuerySet
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import (
    OpenApiExample,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import administration, audit
from accounts.api.bodies import ChangesNeedBody
from accounts.api.fields import TextModelSerializer
from accounts.api.schema import refusals
from accounts.authentication.bearer import BearerAuthentication
from accounts.authentication.operator_key import (
    IsOperator,
    OperatorKeyAuthentication,
    administrator,
)
from accounts.errors import BeingDeleted, LastAdmin, OwnAccount, RateLimited
from accounts.models import AuditEvent, Plan, Team, User

_REFUSED = refusals(401, 403, by=(RateLimited,))
_NO_SUCH = refusals(404)


class Named(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class UserShape(serializers.ModelSerializer[User]):
    """A user as the operator sees them."""

    display_name = serializers.CharField(source="profile.display_name", default="")
    team = Named(allow_null=True)
    plan = Named(allow_null=True)
    daily_limit = serializers.IntegerField(
        help_text="Units a day that apply: their own, their plan's, or the default."
    )
    last_login_at = serializers.DateTimeField(source="last_login", allow_null=True)

    class Meta:
        model = User
        fields = (
            "id",
            "email",
            "display_name",
            "role",
            "team",
            "plan",
            "daily_units",
            "daily_limit",
            "is_active",
            "created_at",
            "last_login_at",
        )


class UserChanges(serializers.Serializer[Any]):
    role = serializers.ChoiceField(User.Role.choices, required=False)
    team = serializers.PrimaryKeyRelatedField(
        queryset=Team.objects.all(), required=False, allow_null=True
    )
    plan = serializers.PrimaryKeyRelatedField(
        queryset=Plan.objects.all(), required=False, allow_null=True
    )
    daily_units = serializers.IntegerField(
        min_value=0, max_value=2_147_483_647, required=False, allow_null=True
    )


class ActiveChange(serializers.Serializer[Any]):
    is_active = serializers.BooleanField()


class TeamShape(TextModelSerializer):
    members = serializers.IntegerField(read_only=True, default=0, source="size")

    class Meta:
        model = Team
        fields = ("id", "name", "members")


class Actor(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    email = serializers.EmailField(allow_null=True, help_text="None: deleted since.")


class EventShape(serializers.ModelSerializer[AuditEvent]):
    actor = serializers.SerializerMethodField()
    details = serializers.DictField()

    class Meta:
        model = AuditEvent
        fields = (
            "id",
            "at",
            "actor",
            "action",
            "object_type",
            "object_id",
            "ip",
            "request_id",
            "details",
        )

    @extend_schema_field(Actor(allow_null=True))
    def get_actor(self, event: AuditEvent) -> dict[str, Any] | None:
        if event.actor_id is None:
            return None
        email = event.actor.email if event.actor else None
        return {"id": str(event.actor_id), "email": email}


class UserFilter(serializers.Serializer[Any]):
    """What `GET /admin/users` can be asked for."""

    q = serializers.CharField(
        required=False, max_length=254, help_text="Part of the e-mail or display name."
    )
    role = serializers.ChoiceField(User.Role.choices, required=False)
    is_active = serializers.BooleanField(required=False, allow_null=True, default=None)
    team = serializers.UUIDField(required=False)


class EventFilter(serializers.Serializer[Any]):
    """What `GET /admin/audit` can be asked for."""

    action = serializers.CharField(required=False, max_length=60)
    actor = serializers.UUIDField(required=False, help_text="Id of a user.")


class OperatorView(generics.GenericAPIView[Any]):
    authentication_classes = (OperatorKeyAuthentication, BearerAuthentication)
    permission_classes = (IsOperator,)

    @method_decorator(never_cache)
    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return super().dispatch(request, *args, **kwargs)

    def asked(self, of: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        serializer = of(data=self.request.query_params)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def users(self) -> QuerySet[User]:
        """Return whose accounts are theirs to change; the key opens everyone's."""
        actor = administrator(self.request)
        managed = User.objects.managed_by(actor) if actor else User.objects.all()
        return managed.select_related("profile", "team", "plan")

    def door(self) -> dict[str, Any]:
        """Return who changes something, and how they came."""
        actor = administrator(self.request)
        return {"actor": actor, "via": "api" if actor else "operator_key"}


def _example(name: str, /, **body: Any) -> OpenApiExample:
    return OpenApiExample(name, value=body, request_only=True)


@extend_schema_view(
    get=extend_schema(
        operation_id="list_users",
        tags=["admin"],
        summary="List users, the newest first",
        parameters=[UserFilter],
        responses={200: UserShape(many=True), **refusals(400), **_REFUSED},
    )
)
class UsersView(OperatorView, generics.ListAPIView[User]):
    serializer_class = UserShape

    def get_queryset(self) -> QuerySet[User]:
        asked = self.asked(UserFilter)
        users = self.users()
        if text := asked.get("q"):
            users = users.filter(
                Q(email__icontains=text) | Q(profile__display_name__icontains=text)
            )
        for name in ("role", "is_active", "team"):
            if asked.get(name) is not None:
                users = users.filter(**{name: asked[name]})
        return users.order_by("-created_at", "pk")


class UserView(ChangesNeedBody, OperatorView):
    queryset = User.objects.none()
    serializer_class = UserShape

    def get_queryset(self) -> QuerySet[User]:
        return self.users()

    @extend_schema(
        operation_id="show_user",
        tags=["admin"],
        summary="Show a user",
        responses={200: UserShape, **_REFUSED, **_NO_SUCH},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(UserShape(self.get_object()).data)

    @extend_schema(
        operation_id="change_user",
        tags=["admin"],
        summary="Change a user's rights and limits",
        description="Another role ends their sessions: they sign in again with it. "
        "Somebody has to stay administrator.",
        request=UserChanges,
        responses={200: UserShape, **_NO_SUCH}
        | refusals(400, 401, 403, 415, by=(LastAdmin, RateLimited)),
        examples=[_example("supervise", role="supervisor", daily_units=None)],
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        user = self.get_object()
        asked = UserChanges(data=request.data)
        asked.is_valid(raise_exception=True)
        administration.change(user, **self.door(), **asked.validated_data)
        return Response(UserShape(self.get_object()).data)


class ActiveView(UserView):
    http_method_names = ("patch", "options")

    @extend_schema(
        operation_id="set_user_active",
        tags=["admin"],
        summary="Let a user in, or keep them out",
        description="Out ends their sessions, sockets and replies. Administrators "
        "cannot shut out themselves, nor the last of them.",
        request=ActiveChange,
        responses={200: UserShape, **_NO_SUCH}
        | refusals(
            400, 401, 403, 415, by=(BeingDeleted, LastAdmin, OwnAccount, RateLimited)
        ),
        examples=[_example("keep out", is_active=False)],
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        user = self.get_object()
        asked = ActiveChange(data=request.data)
        asked.is_valid(raise_exception=True)
        administration.change(user, **self.door(), **asked.validated_data)
        return Response(UserShape(self.get_object()).data)


@extend_schema_view(
    get=extend_schema(
        operation_id="list_teams",
        tags=["admin"],
        summary="List teams",
        responses={200: TeamShape(many=True), **_REFUSED},
    ),
    post=extend_schema(
        operation_id="make_team",
        tags=["admin"],
        summary="Make a team",
        description="Its supervisor sees its workers, and their conversations.",
        responses={201: TeamShape} | refusals(400, 401, 403, 415, by=(RateLimited,)),
        examples=[_example("a team", name="Night shift")],
    ),
)
class TeamsView(OperatorView, generics.ListCreateAPIView[Team]):
    serializer_class = TeamShape
    queryset = Team.objects.annotate(size=Count("members")).order_by("name")

    def perform_create(self, serializer: serializers.BaseSerializer[Team]) -> None:
        try:
            team = serializer.save()
        except IntegrityError:  # another request was faster
            raise serializers.ValidationError(
                {"name": _("There is a team of this name.")}, code="unique"
            ) from None
        door = self.door()
        audit.record("team.made", actor=door["actor"], of=team, via=door["via"])


@extend_schema_view(
    get=extend_schema(
        operation_id="list_audit_events",
        tags=["admin"],
        summary="List what was done, the newest first",
        parameters=[EventFilter],
        responses={200: EventShape(many=True), **refusals(400), **_REFUSED},
    )
)
class AuditView(OperatorView, generics.ListAPIView[AuditEvent]):
    serializer_class = EventShape

    def get_queryset(self) -> QuerySet[AuditEvent]:
        asked = self.asked(EventFilter)
        return AuditEvent.objects.with_actors().filter(**asked)
