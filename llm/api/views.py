"""What a person may ask about their own use of models."""

from drf_spectacular.utils import extend_schema
from rest_framework.generics import RetrieveAPIView

from llm import quota
from llm.api.serializers import UsageSerializer


@extend_schema(
    summary="Units used today",
    description="The day ends at the person's own midnight, which is `reset_at`.",
)
class UsageView(RetrieveAPIView[DailyUsage]):
    serializer_class = UsageSerializer

    def get_object(self) -> quota.UsageToday:
        user = self.request.user
        assert user.is_authenticated
        return quota.usage_today(user.pk, user.daily_limit, user.profile.time_zone)
