"""What a client sends besides what it may say changes nothing, whatever its name."""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime

from django.apps import apps
from django.db import transaction
from django.test import Client, TestCase, override_settings

from accounts.models import Plan, Team, User
from accounts.tests.factories import PASSWORD, make_user
from config.tests.operations import JSON, Operation, operations, sample
from config.tests.world import World, call
from conversations.models import Message
from llm.testing import scripted

SMUGGLED = {
    "id": str(uuid.uuid4()),
    "role": "admin",
    "is_staff": True,
    "is_superuser": True,
    "is_active": False,
    "status": "closed",
    "created_at": "2001-02-03T04:05:06Z",
    "daily_units": 987_654_321,
}

#: Operations whose own work looks like what was smuggled, and why.
OWN_WORK = {
    "POST /conversations/{id}/reset": ({"status"}, "it closes the conversation"),
}

#: What some operations want to be told to succeed.
SAYS = {
    "POST /auth/login": {"email": "alice@example.com"},
    "POST /me/password": {
        "current_password": PASSWORD,
        "new_password": "another correct horse",
    },
}

#: Operations that are refused in this world, with what they answer, and why.
REFUSED = {
    "DELETE /me/totp": (409, "Alice has no second factor"),
    "POST /me/totp/confirm": (400, "nobody guesses the code"),
    "POST /me/totp/recovery-codes": (409, "Alice has no second factor"),
}

CHANGES = ("POST", "PUT", "PATCH", "DELETE")


@override_settings(RATELIMIT_ENABLE=False, CHAT_RATE="1000/m")
class MassAssignmentTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.world = World()
        # A turn can be opened, and a reply continued, only where none is written.
        Message.objects.filter(pk=cls.world.reply.pk).update(status="interrupted")
        cls.other = make_user("victim@example.com")
        cls.plan = Plan.objects.create(name="Fancy", daily_units=10**6)
        cls.team = Team.objects.create(name="Elsewhere")
        cls.smuggled = SMUGGLED | {
            "user": str(cls.other.pk),
            "user_id": str(cls.other.pk),
            "owner": str(cls.other.pk),
            "owner_id": str(cls.other.pk),
            "plan": str(cls.plan.pk),
            "plan_id": str(cls.plan.pk),
            "team": str(cls.team.pk),
            "team_id": str(cls.team.pk),
        }
        cls.known = cls.world.known()

    def test_it_changes_nothing_that_is_not_the_clients_to_say(self):
        for operation in operations():
            if operation.method not in CHANGES or operation.content_type != JSON:
                continue
            with self.subTest(str(operation)), transaction.atomic():
                before = self.traces()
                answer = self.send(operation)
                after = self.traces()
                transaction.set_rollback(True)

                status, _reason = REFUSED.get(str(operation), (None, ""))
                if status is None:
                    said = getattr(answer, "content", b"")
                    self.assertLess(answer.status_code, 400, said)
                else:
                    self.assertEqual(answer.status_code, status)
                allowed, _reason = OWN_WORK.get(str(operation), (set(), ""))
                new = after - before
                for name in allowed | self.may_say(operation):
                    new.pop(name, None)
                self.assertEqual(new, Counter())

    def test_no_exception_is_stale(self):
        exceptions = {*OWN_WORK, *SAYS, *REFUSED}
        self.assertLessEqual(exceptions, {str(o) for o in operations()})

    def send(self, operation: Operation):
        named = "{" in operation.path
        right = "admin" if operation.path.startswith("/admin/") else "owner"
        plain = {
            name: sample(name, schema, self.known)
            for name, schema in operation.fields.items()
            if name in operation.required or name in self.known
        }
        # Where a field of that name is the client's to fill, what it says is good.
        body = self.smuggled | plain | SAYS.get(str(operation), {})
        with scripted("Good."):
            return call(
                Client(raise_request_exception=False),
                operation.method,
                operation.address(
                    self.world.object_at(operation.path) if named else ""
                ),
                json.dumps(body).encode(),
                headers=self.world.bearer(right),
            )

    def may_say(self, operation: Operation) -> set[str]:
        """Return what an administrator's operation is there to change."""
        is_admins = operation.path.startswith("/admin/")
        return set(operation.fields) if is_admins else set()

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
