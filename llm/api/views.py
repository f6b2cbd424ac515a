"""What a person may ask about their own use of models."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from llm import quota
from llm.api.serializers import UsageSerializer


class UsageView(APIView):
    """What is used and left of today's units."""

    @extend_schema(
        operation_id="me_usage",
        summary="Units used today",
        description="The day ends at the person's own midnight, which is `reset_at`.",
        responses=UsageSerializer,
    )
    def get(self, request: Request) -> Response:
        user = request.user
        assert user.is_authenticated
        usage = quota.usage_today(user.pk, user.daily_limit, user.profile.time_zone)
        return Response(UsageSerializer(usage).data)
