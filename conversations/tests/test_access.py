"""What supervisors and administrators may do with other people's conversations."""

import json
import uuid
from datetime import timedelta
from unittest import mock

from asgiref.sync import sync_to_async
from django.test import TestCase, override_settings
from django.utils import timezone

from accounts.models import AuditEvent, Team, User
from accounts.tests.factories import ada, alice, bearer, bob, charlie, make_user, sofia
from conversations import access
from conversations.models import Conversation, Generation, Message
from conversations.tests.cases import PATIENCE
from conversations.tests.factories import answer, make_conversation, say
from conversations.tests.socket_cases import SocketTestCase, cookie_of, token_of
from llm.models import DailyUsage
from llm.testing import scripted

WRITING = [
    ("PATCH", "/conversations/{c}", {"title": "Mine now"}),
    ("PATCH", "/conversations/{c}", {"title": 1, "is_pinned": "x"}),
    ("DELETE", "/conversations/{c}", None),
    ("POST", "/conversations/{c}/reset", None),
    ("POST", "/conversations/{c}/read", None),
    ("POST", "/conversations/{c}/messages", {"content": "Hello"}),
    ("POST", "/conversations/{c}/messages", {"content": ""}),
    ("POST", "/conversations/{c}/messages", {}),
    ("POST", "/chat/stream", {"conversation_id": "{c}", "content": "Hello"}),
    ("POST", "/chat/stream", {"conversation_id": "{c}", "content": "\t"}),
    ("PATCH", "/messages/{m}", {"importance_level": "high"}),
    ("PATCH", "/messages/{m}", {"importance_level": "x"}),
    ("DELETE", "/messages/{m}", None),
    ("POST", "/messages/{m}/stop", None),
    ("POST", "/messages/{m}/continue", None),
    ("POST", "/messages/{m}/regenerate", None),
]
READING = [
    "/conversations/{c}",
    "/conversations/{c}/messages",
    "/messages/{m}",
]
PAGES = ["rename", "pin", "reset", "delete", "messages"]


class TeamTestCase(TestCase):
    """Sofía supervises Alice and Bob; Simon has another team, with Charlie."""

    @classmethod
    def setUpTestData(cls):
        ours, theirs = (Team.objects.create(name=name) for name in ("Ours", "Theirs"))
        cls.alice, cls.bob = alice(team=ours), bob(team=ours)
        cls.sofia, cls.ada = sofia(team=ours), ada()
        cls.colleague = make_user("sara@example.com", role="supervisor", team=ours)
        cls.simon = make_user("simon@example.com", role="supervisor", team=theirs)
        cls.charlie = charlie(team=theirs)
        cls.conversation = make_conversation(cls.alice, title="Of Alice")
        say(cls.conversation, "Good evening")
        cls.reply = answer(cls.conversation, "Good evening, Alice", "interrupted")
        cls.of_sara = make_conversation(cls.colleague)
        cls.readers = (cls.sofia, cls.ada)
        cls.strangers = (cls.bob, cls.simon, cls.charlie)

    def call(self, user, method, path, body=None):
        names = {"{c}": str(self.conversation.pk), "{m}": str(self.reply.pk)}
        text = json.dumps(body) if body is not None else ""
        for name, pk in names.items():
            path, text = path.replace(name, pk), text.replace(name, pk)
        return self.client.generic(
            method,
            f"/api/v1{path}",
            text,
            content_type="application/json",
            headers={"authorization": f"Bearer {bearer(user)}"},
        )

    def rows(self):
        models = (Conversation, Message, Generation)
        return [list(model.objects.values()) for model in models]

    def openings(self):
        events = AuditEvent.objects.filter(action="conversation.opened").order_by("at")
        return [event.actor for event in events]


class ReadingTests(TeamTestCase):
    def test_who_sees_the_owner_reads(self):
        for user in self.readers:
            for path in READING:
                found = self.call(user, "GET", path)
                assert found.status_code == 200, path
            assert "Good evening, Alice" in found.content.decode()

    def test_for_everybody_else_it_does_not_exist(self):
        for user in self.strangers:
            for path in READING:
                found = self.call(user, "GET", path)
                missing = self.call(
                    user,
                    "GET",
                    path.replace("{c}", str(uuid.uuid4())).replace(
                        "{m}", str(uuid.uuid4())
                    ),
                )
                assert found.status_code == missing.status_code == 404
                assert found.content == missing.content
        assert self.openings() == []

    def test_supervisors_do_not_see_one_another(self):
        path = f"/conversations/{self.of_sara.pk}"
        assert self.call(self.sofia, "GET", path).status_code == 404
        assert self.call(self.ada, "GET", path).status_code == 200

    def test_a_worker_who_left_the_team_is_not_seen_any_more(self):
        User.objects.filter(pk=self.alice.pk).update(team=None)

        assert self.call(self.sofia, "GET", READING[0]).status_code == 404

    def test_conversations_of_somebody_are_listed(self):
        def listed(user, owner):
            return self.call(user, "GET", f"/conversations?user={owner}")

        for user in (*self.readers, self.alice):
            page = listed(user, self.alice.pk).json()
            assert [c["title"] for c in page["results"]] == ["Of Alice"]
        for user in self.strangers:
            assert listed(user, self.alice.pk).status_code == 404
        assert listed(self.ada, uuid.uuid4()).status_code == 404
        assert listed(self.ada, "x").json()["code"] == "invalid"
        # Without the question one's own, and nothing else.
        assert self.call(self.ada, "GET", "/conversations").json()["count"] == 0

    def test_a_reply_is_followed_over_http(self):
        path = f"/messages/{self.reply.pk}/stream"
        assert self.call(self.sofia, "GET", path).status_code == 200
        assert self.call(self.charlie, "GET", path).status_code == 404


class WritingTests(TeamTestCase):
    def test_nobody_but_the_owner_changes_anything(self):
        before = self.rows()
        with scripted("never") as script:
            for user in self.readers:
                for method, path, body in WRITING:
                    with self.subTest(path, user=user, body=body):
                        refused = self.call(user, method, path, body)
                        assert refused.status_code in (400, 403), refused.content
                        code = refused.json()["code"]
                        # A stream's form says nothing of whose conversation it is.
                        is_form = path == "/chat/stream" and body["content"] == "\t"
                        assert code == "permission_denied" or is_form
            for user in self.strangers:
                for method, path, body in WRITING:
                    with self.subTest(path, user=user, body=body):
                        refused = self.call(user, method, path, body)
                        assert refused.status_code == 404, refused.content
        assert script.requests == []
        assert self.rows() == before

    def test_nobody_reaches_a_message_through_a_conversation_of_their_own(self):
        mine = make_conversation(self.charlie)
        path = f"/conversations/{mine.pk}/messages"
        quoting = {"content": "Hello", "reply_to_id": str(self.reply.pk)}
        with scripted("never") as script:
            quoted = self.call(self.charlie, "POST", path, quoting)
            before = self.call(self.charlie, "GET", f"{path}?before={self.reply.pk}")

        for refused in (quoted, before):
            assert refused.status_code == 400
            assert b"Good evening" not in refused.content
        assert script.requests == []

    def test_pages_change_nothing_either(self):
        before = self.rows()
        reply = [f"/m/{self.reply.pk}/{n}" for n in ("stop", "continue", "regenerate")]
        pages = [f"/c/{self.conversation.pk}/{page}" for page in PAGES]
        for users, status in ((self.readers, 403), (self.strangers, 404)):
            for user in users:
                self.client.force_login(user)
                for path in pages + reply:
                    with self.subTest(path, user=user):
                        form = {"content": "Hello", "title": "Mine now"}
                        assert self.client.post(path, form).status_code == status
        assert self.rows() == before


class PageTests(TeamTestCase):
    def open(self, user, **query):
        self.client.force_login(user)
        return self.client.get(f"/c/{self.conversation.pk}", query)

    def test_it_says_whose_it_is_and_offers_nothing_to_write(self):
        before = self.rows()
        for user in self.readers:
            page = self.open(user)
            self.assertContains(page, "Good evening, Alice")
            self.assertContains(page, "alice@example.com")
            main = page.content.decode().partition("<main")[2]
            assert "<form" not in main
            assert "<textarea" not in main
            assert "/ws/pages/" not in main
        assert self.rows() == before

    def test_the_owner_still_writes(self):
        page = self.open(self.alice)
        self.assertContains(page, "<textarea")
        self.assertNotContains(page, "alice@example.com)")

    def test_for_everybody_else_it_does_not_exist(self):
        for user in self.strangers:
            assert self.open(user).status_code == 404
            assert self.client.get(f"/m/{self.reply.pk}").status_code == 404

    def test_a_message_is_shown_without_what_would_change_it(self):
        self.client.force_login(self.sofia)
        fragment = self.client.get(f"/m/{self.reply.pk}")
        self.assertContains(fragment, "Good evening, Alice")
        self.assertNotContains(fragment, "<form")


class OpeningTests(TeamTestCase):
    def test_it_is_recorded_once_for_each_opening(self):
        for _ in range(2):
            self.call(self.sofia, "GET", "/conversations/{c}")
            self.call(self.sofia, "GET", "/conversations/{c}/messages")
            self.call(self.sofia, "GET", "/conversations/{c}/messages?limit=1")
            self.call(self.sofia, "GET", "/messages/{m}")

        assert self.openings() == [self.sofia, self.sofia]
        event = AuditEvent.objects.filter(action="conversation.opened").first()
        assert (event.object_type, event.object_id) == (
            "conversation",
            str(self.conversation.pk),
        )
        assert event.details == {"owner": str(self.alice.pk)}
        assert event.ip == "127.0.0.1"

    def test_no_way_of_reading_goes_unrecorded(self):
        stream = f"/messages/{self.reply.pk}/stream"
        for path in (*READING, stream):
            reader = make_user(f"{uuid.uuid4()}@example.com", role="admin")
            self.call(reader, "GET", path)
            assert reader in self.openings(), path
        for path in (
            f"/c/{self.conversation.pk}",
            f"/m/{self.reply.pk}",
            f"/panel/{self.alice.pk}/{self.conversation.pk}",
            f"/admin/conversations/conversation/{self.conversation.pk}/change/",
            f"/admin/conversations/message/{self.reply.pk}/change/",
        ):
            reader = make_user(f"{uuid.uuid4()}@example.com", role="admin")
            self.client.force_login(reader)
            assert self.client.get(path).status_code == 200, path
            self.client.get(path)
            assert self.openings().count(reader) == 1, path

    def test_what_a_page_loads_later_is_recorded(self):
        self.client.force_login(self.sofia)
        address = f"/c/{self.conversation.pk}?before={self.reply.pk}"
        self.client.get(address, headers={"HX-Request": "true"})
        assert self.openings() == [self.sofia]

    def test_looking_at_somebodys_list_is_recorded(self):
        for reader in (self.sofia, self.sofia, self.alice):
            self.call(reader, "GET", f"/conversations?user={self.alice.pk}")
        (event,) = AuditEvent.objects.filter(action="conversations.listed")
        assert (event.actor, event.object_id) == (self.sofia, str(self.alice.pk))
        assert event.object_type == "user"

    def test_who_comes_back_later_opens_it_again(self):
        access.note_reading(self.sofia, self.conversation)
        later = timezone.now() + access.READING + timedelta(seconds=1)
        with mock.patch.object(timezone, "now", return_value=later):
            access.note_reading(self.sofia, self.conversation)

        assert self.openings() == [self.sofia, self.sofia]

    def test_the_owner_opens_nothing(self):
        for path in READING:
            self.call(self.alice, "GET", path)
        self.client.force_login(self.alice)
        self.client.get(f"/c/{self.conversation.pk}")

        assert self.openings() == []


class SocketTests(SocketTestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        team = Team.objects.create(name="Ours")
        User.objects.filter(pk=cls.user.pk).update(team=team)
        cls.sofia, cls.charlie = sofia(team=team), charlie()
        say(cls.conversation)
        cls.reply = answer(cls.conversation, "Good evening")

    @override_settings(TRUSTED_PROXY_HOPS=1)
    async def test_a_supervisor_follows_a_reply(self):
        tokens = await sync_to_async(token_of)(self.sofia)
        headers = [*tokens, (b"x-forwarded-for", b"192.0.2.7")]
        async with self.connected("/ws/", headers) as socket:
            await socket.command("follow", message_id=str(self.reply.pk))
            events = await socket.until_end()

        assert "Good evening" in str(events)
        event = await AuditEvent.objects.aget(action="conversation.opened")
        assert (event.actor_id, event.object_id) == (
            self.sofia.pk,
            str(self.conversation.pk),
        )
        assert event.ip == "192.0.2.7"
        assert event.request_id

    async def test_a_supervisor_does_nothing_else(self):
        pks = {
            "conversation_id": str(self.conversation.pk),
            "message_id": str(self.reply.pk),
        }
        tokens = await sync_to_async(token_of)(self.sofia)
        async with self.connected("/ws/", tokens) as socket:
            for kind in ("message.send", "message.stop", "typing", "read"):
                await socket.command(kind, content="Hello", **pks)
                event = await socket.next()
                assert (event["type"], event["code"]) == ("error", "permission_denied")

    async def test_for_a_stranger_it_does_not_exist(self):
        tokens = await sync_to_async(token_of)(self.charlie)
        async with self.connected("/ws/", tokens) as socket:
            await socket.command("follow", message_id=str(self.reply.pk))
            event = await socket.next()

        assert (event["type"], event["code"]) == ("error", "not_found")

    async def test_the_socket_of_the_pages_is_the_owners_alone(self):
        cookie = await sync_to_async(cookie_of)(self.sofia)
        async with self.connected("/ws/pages/", cookie) as socket:
            await socket.command("watch", conversation_id=str(self.conversation.pk))
            answer_ = await socket.receive_from(PATIENCE)

        assert "permission_denied" in answer_
        assert "Good evening" not in answer_


class MetricsTests(TestCase):
    """What the operator's dashboards are told."""

    def metrics(self):
        headers = {"authorization": f"Bearer {bearer(self.ada)}"}
        return self.client.get("/api/v1/admin/metrics", headers=headers).json()

    @classmethod
    def setUpTestData(cls):
        cls.ada, cls.alice = ada(), alice()
        make_user("dora@example.com", is_active=False)
        cls.conversation = make_conversation(cls.alice)

    def test_of_an_empty_installation_it_says_so(self):
        found = self.metrics()

        assert found["users"] == {
            "total": 3,
            "active": 2,
            "by_role": {"admin": 1, "supervisor": 0, "worker": 2},
        }
        assert (found["conversations"], found["messages_today"]) == (1, 0)
        assert found["first_token_ms"] == {"p50": None, "p95": None}
        assert found["uptime_seconds"] >= 0
        assert found["version"]

    def test_it_counts_what_was_said_today_and_how_replies_went(self):
        now = timezone.now()
        for ms in range(1, 101):
            said = {"status": "complete", "generation": {"first_token_ms": ms}}
            answer(self.conversation, created_at=now, **said)
        answer(self.conversation, status="failed")
        answer(make_conversation(self.alice), status="streaming")
        say(self.conversation, created_at=now - timedelta(days=2))
        DailyUsage.objects.create(user=self.alice, date=now.date(), used=12)
        DailyUsage.objects.create(user=self.ada, date=now.date(), used=30)
        yesterday = now.date() - timedelta(days=1)
        DailyUsage.objects.create(user=self.ada, date=yesterday, used=999)

        found = self.metrics()

        assert found["messages_today"] == 102
        assert found["units_today"] == 42
        assert found["open_replies"] == 1
        assert found["replies_24h"] == {
            "streaming": 1,
            "complete": 100,
            "stopped": 0,
            "interrupted": 0,
            "failed": 1,
        }
        assert found["first_token_ms"] == {"p50": 50, "p95": 95}

    def test_it_asks_the_database_as_often_however_much_there_is(self):
        headers = {"authorization": f"Bearer {bearer(self.ada)}"}
        for _ in range(2):
            with self.assertNumQueries(9):
                self.client.get("/api/v1/admin/metrics", headers=headers)
            for _more in range(5):
                answer(make_conversation(self.alice), status="complete")
