"""What nobody may say of themself, sent along, and what it leaves in the database."""

import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from django.apps import apps
from django.test import TestCase, override_settings

from accounts.models import Plan, Team, User
from accounts.tests.factories import make_user
from accounts.tests.uploads import OwnUploads
from config.tests.world import World
from conversations.models import Message

SMUGGLED: dict[str, Any] = {
    "id": str(uuid.uuid4()),
    "role": "admin",
    "is_staff": True,
    "is_superuser": True,
    "is_active": False,
    "status": "closed",
    "created_at": "2001-02-03T04:05:06Z",
    "daily_units": 987_654_321,
}


@override_settings(RATELIMIT_ENABLE=False, CHAT_RATE="1000/m")
class SmugglingTestCase(OwnUploads, TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = World()
        # A turn can be opened, and a reply continued, only where none is written.
        Message.objects.filter(pk=cls.world.reply.pk).update(status="interrupted")
        cls.other = make_user("victim@example.com")
        cls.plan = Plan.objects.create(name="Fancy", daily_units=10**6)
        cls.team = Team.objects.create(name="Elsewhere")
        cls.smuggled = SMUGGLED | {
            "pk": SMUGGLED["id"],
            "user": str(cls.other.pk),
            "user_id": str(cls.other.pk),
            "owner": str(cls.other.pk),
            "owner_id": str(cls.other.pk),
            "plan": str(cls.plan.pk),
            "plan_id": str(cls.plan.pk),
            "team": str(cls.team.pk),
            "team_id": str(cls.team.pk),
        }

    def traces(self) -> Counter:
        """Count the rows of every table that look as if something was smuggled in."""
        found: Counter = Counter()
        old = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
        for model in apps.get_models():
            for row in model._base_manager.values():
                found["id"] += str(row.get("id")) == SMUGGLED["id"]
                found["user"] += self.other.pk in row.values()
                found["plan"] += self.plan.pk in row.values()
                found["team"] += self.team.pk in row.values()
                found["created_at"] += old in row.values()
                found["daily_units"] += SMUGGLED["daily_units"] in row.values()
                found["status"] += row.get("status") == "closed"
        found["role"] = User.objects.filter(role=User.Role.ADMIN).count()
        found["is_active"] = User.objects.filter(is_active=False).count()
        return found
