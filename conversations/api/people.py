"""The people whose conversations one reads, over the API."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, serializers

from accounts.api.operator import Named
from accounts.api.schema import refusals
from accounts.authentication.bearer import signed_in
from accounts.models import User
from conversations.people import seen_by


class Person(serializers.ModelSerializer[User]):
    """A user as who sees them sees them."""

    display_name = serializers.CharField(source="profile.display_name", default="")
    team = Named(allow_null=True)
    conversations = serializers.IntegerField(source="conversation_count")
    last_message_at = serializers.DateTimeField(
        allow_null=True, help_text="Of the newest message in any of them."
    )

    class Meta:
        model = User
        fields = (
            "id",
            "email",
            "display_name",
            "role",
            "team",
            "is_active",
            "conversations",
            "last_message_at",
        )


class PeopleFilter(serializers.Serializer[Any]):
    q = serializers.CharField(
        required=False, max_length=254, help_text="Part of the e-mail or display name."
    )


@extend_schema_view(
    get=extend_schema(
        operation_id="list_people",
        tags=["people"],
        summary="List the people you see",
        description="Yourself; as a supervisor the workers of your team, too; as an "
        "administrator everyone. `GET /conversations?user=` lists their conversations.",
        parameters=[PeopleFilter],
        responses={200: Person(many=True)} | refusals(400, 401),
    )
)
class People(generics.ListAPIView[User]):
    serializer_class = Person

    def get_queryset(self) -> QuerySet[User]:
        asked = PeopleFilter(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        return seen_by(
            signed_in(self.request), asked.validated_data.get("q", "")
        ).select_related("team")
