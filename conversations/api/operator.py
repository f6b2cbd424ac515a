"""How the installation does, in numbers, for the operator's dashboards."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, Sum
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.operator import OperatorView
from accounts.api.schema import refusals
from accounts.errors import RateLimited
from accounts.models import User
from characters.models import Character
from conversations.models import Conversation, Generation, Message
from llm.models import DailyUsage

#: The newest replies, of which percentiles are taken.
SAMPLE = 1000

_started = time.monotonic()


class UserCounts(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    active = serializers.IntegerField()
    by_role = serializers.DictField(child=serializers.IntegerField())


class FirstToken(serializers.Serializer[Any]):
    p50 = serializers.IntegerField(allow_null=True)
    p95 = serializers.IntegerField(allow_null=True)


class MetricsShape(serializers.Serializer[Any]):
    users = UserCounts()
    characters = serializers.IntegerField()
    conversations = serializers.IntegerField()
    messages_today = serializers.IntegerField(help_text="Since midnight in UTC.")
    units_today = serializers.IntegerField(help_text="On each user's own day.")
    open_replies = serializers.IntegerField()
    replies_24h = serializers.DictField(
        child=serializers.IntegerField(), help_text="By status, of the last 24 hours."
    )
    first_token_ms = FirstToken(
        help_text=f"Of the newest {SAMPLE} replies of the last 24 hours."
    )
    uptime_seconds = serializers.IntegerField(help_text="Of the process that answers.")
    version = serializers.CharField()


class MetricsView(OperatorView):
    serializer_class = MetricsShape

    @extend_schema(
        operation_id="metrics",
        tags=["admin"],
        summary="Show how the installation does",
        responses={200: MetricsShape} | refusals(401, 403, by=(RateLimited,)),
    )
    def get(self, request: Request) -> Response:
        return Response(
            {
                **_people(),
                **_talk(),
                "uptime_seconds": int(time.monotonic() - _started),
                "version": settings.SPECTACULAR_SETTINGS["VERSION"],
            }
        )


def _people() -> dict[str, Any]:
    counts = {
        row["role"]: row
        for row in User.objects.order_by()
        .values("role")
        .annotate(total=Count("*"), active=Count("pk", filter=Q(is_active=True)))
    }
    return {
        "users": {
            "total": sum(row["total"] for row in counts.values()),
            "active": sum(row["active"] for row in counts.values()),
            "by_role": {
                role: counts[role]["total"] if role in counts else 0
                for role in User.Role.values
            },
        }
    }


def _talk() -> dict[str, Any]:
    now = timezone.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    # Days begin at different moments; whose has begun tomorrow already counts, too.
    today = DailyUsage.objects.filter(date__gte=now.date())
    recent = _written_since(now - timedelta(days=1))
    replies = recent.filter(role=Message.Role.ASSISTANT).order_by()
    statuses = dict(replies.values_list("status").annotate(n=Count("pk")))
    newest = Generation.objects.filter(message__in=recent).order_by("-created_at")
    known = newest.filter(first_token_ms__isnull=False)
    times = sorted(
        ms or 0 for ms in known.values_list("first_token_ms", flat=True)[:SAMPLE]
    )
    return {
        "characters": Character.objects.count(),
        "conversations": Conversation.objects.count(),
        "messages_today": _written_since(midnight).count(),
        "units_today": today.aggregate(units=Sum("used"))["units"] or 0,
        "open_replies": Message.objects.filter(status=Message.Status.STREAMING).count(),
        "replies_24h": {
            status: statuses.get(status, 0) for status in Message.REPLY_STATUSES
        },
        "first_token_ms": {
            "p50": _percentile(times, 50),
            "p95": _percentile(times, 95),
        },
    }


def _written_since(moment: datetime) -> Any:
    # Messages have an index by conversation only, and most conversations are older.
    return Message.objects.filter(
        conversation__last_message_at__gte=moment, created_at__gte=moment
    )


def _percentile(ordered: list[int], percent: int) -> int | None:
    """Return the smallest value that `percent` of all do not exceed (nearest rank)."""
    if not ordered:
        return None
    return ordered[-(-len(ordered) * percent // 100) - 1]
