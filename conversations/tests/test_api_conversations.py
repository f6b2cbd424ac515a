"""Conversations and stored messages over REST."""

import uuid

from django.test import TestCase
from django.utils import timezone

from accounts.tests.factories import alice, bearer, bob
from conversations.models import Conversation, Message
from conversations.tests.factories import (
    ADULT,
    answer,
    make_adult_character,
    make_character,
    make_conversation,
    say,
    talk,
)

LIST = "/api/v1/conversations"


class RestTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = alice()
        cls.headers = {"authorization": f"Bearer {bearer(cls.user)}"}

    def call(self, method, path, body=None):
        return self.client.generic(
            method,
            path if path.startswith(("/api", "http")) else f"/api/v1{path}",
            b"" if body is None else self.client._encode_json(body, "application/json"),
            content_type="application/json",
            headers=self.headers,
        )

    def assert_refused(self, response, status, code):
        assert response.status_code == status, response.content
        assert response.json()["code"] == code
        assert response.json()["detail"]


class ConversationTests(RestTestCase):
    def test_it_opens_one_with_a_character(self):
        make_character("luna", name="Luna", greeting="Hello.")

        for name in ("character", "character_id"):
            response = self.call("POST", LIST, {name: "luna"})
            assert response.status_code == 201
            assert response.json()["character"]["slug"] == "luna"
            assert response.json()["last_message_preview"] == "Hello."

    def test_it_takes_a_title(self):
        make_character("luna")

        shown = self.call("POST", LIST, {"character": "luna", "title": "Us"}).json()

        assert shown["title"] == "Us"

    def test_it_opens_none_with_whom_nobody_may_see(self):
        make_character("gone", archived_at=timezone.now())
        make_character("secret", is_public=False)

        for slug in ("gone", "secret", "nobody", "", None, 5, ["luna"], {}):
            self.assert_refused(
                self.call("POST", LIST, {"character": slug}), 400, "invalid"
            )
        self.assert_refused(self.call("POST", LIST, {}), 400, "invalid")

    def test_it_opens_none_with_an_adult_character_for_who_is_too_young(self):
        make_adult_character("luna", greeting="Come closer.")

        response = self.call("POST", LIST, {"character": "luna"})

        self.assert_refused(response, 403, "age_restricted")
        assert b"closer" not in response.content
        assert not Conversation.objects.exists()

    def test_it_opens_one_with_an_adult_character_for_an_adult(self):
        make_adult_character("luna")
        self.user.profile.birthdate = ADULT
        self.user.profile.save()

        assert self.call("POST", LIST, {"character": "luna"}).status_code == 201

    def test_it_lists_pinned_ones_first_and_then_the_newest(self):
        old, new, pinned = (
            make_conversation(
                self.user,
                last_message_at=timezone.now() - timezone.timedelta(days=days),
                is_pinned=days == 9,
            )
            for days in (2, 1, 9)
        )

        found = self.call("GET", LIST).json()

        assert [c["id"] for c in found["results"]] == [
            str(c.pk) for c in (pinned, new, old)
        ]
        assert found["count"] == 3

    def test_it_pages(self):
        for _ in range(5):
            make_conversation(self.user)

        first = self.call("GET", f"{LIST}?limit=2").json()
        second = self.call("GET", first["next"]).json()

        assert len(first["results"]) == len(second["results"]) == 2
        assert not {c["id"] for c in first["results"]} & {
            c["id"] for c in second["results"]
        }
        assert len(self.call("GET", f"{LIST}?limit=2&offset=4").json()["results"]) == 1

    def test_it_lists_nobody_elses(self):
        make_conversation(bob())

        assert self.call("GET", LIST).json()["results"] == []

    def test_it_shows_one(self):
        conversation = make_conversation(self.user)
        answer(conversation)

        shown = self.call("GET", f"{LIST}/{conversation.pk}").json()

        assert shown["id"] == str(conversation.pk)
        assert shown["unread"] == 1

    def test_it_renames_and_pins(self):
        conversation = make_conversation(self.user)

        shown = self.call(
            "PATCH", f"{LIST}/{conversation.pk}", {"title": "Us", "is_pinned": True}
        ).json()

        assert (shown["title"], shown["is_pinned"]) == ("Us", True)
        conversation.refresh_from_db()
        assert (conversation.title, conversation.is_pinned) == ("Us", True)

    def test_it_changes_nothing_else(self):
        conversation = make_conversation(self.user)
        other = bob()
        before = Conversation.objects.values().get()

        response = self.call(
            "PATCH",
            f"{LIST}/{conversation.pk}",
            {
                "id": str(uuid.uuid4()),
                "user": str(other.pk),
                "status": "closed",
                "is_default": True,
                "character": "x",
                "head": None,
                "created_at": "2000-01-01T00:00:00Z",
            },
        )

        assert response.status_code == 200
        assert Conversation.objects.values().get() == before

    def test_it_deletes(self):
        conversation = make_conversation(self.user)
        say(conversation)

        response = self.call("DELETE", f"{LIST}/{conversation.pk}")

        assert response.status_code == 204
        assert not Message.objects.exists()
        again = self.call("GET", f"{LIST}/{conversation.pk}")
        self.assert_refused(again, 404, "not_found")

    def test_it_resets(self):
        conversation = make_conversation(self.user)

        response = self.call("POST", f"{LIST}/{conversation.pk}/reset")

        assert response.status_code == 201
        assert response.json()["id"] != str(conversation.pk)
        conversation.refresh_from_db()
        assert conversation.status == "closed"

    def test_it_notes_what_was_read(self):
        conversation = make_conversation(self.user)
        answer(conversation)

        response = self.call("POST", f"{LIST}/{conversation.pk}/read")

        assert response.status_code == 204
        assert self.call("GET", f"{LIST}/{conversation.pk}").json()["unread"] == 0

    def test_it_answers_with_a_trailing_slash_too(self):
        make_character("luna")

        assert self.call("POST", f"{LIST}/", {"character": "luna"}).status_code == 201
        assert self.call("GET", f"{LIST}/").json()["count"] == 1


class StoredMessageTests(RestTestCase):
    def setUp(self):
        self.conversation = make_conversation(self.user)
        self.path = f"{LIST}/{self.conversation.pk}/messages"

    def contents(self, page):
        return [message["content"] for message in page["results"]]

    def test_it_lists_messages_oldest_first(self):
        say(self.conversation, "One")
        answer(self.conversation, "Two")

        page = self.call("GET", self.path).json()

        assert self.contents(page) == ["One", "Two"]
        assert page["next"] is None

    def test_it_pages_backwards_to_the_first_without_a_gap(self):
        talk(self.conversation, turns=12)
        page, pages = self.call("GET", f"{self.path}?limit=10").json(), []
        while True:
            pages.insert(0, self.contents(page))
            if not page["next"]:
                break
            page = self.call("GET", page["next"]).json()

        assert [len(page) for page in pages] == [4, 10, 10]
        assert sum(pages, []) == [  # noqa: RUF017
            f"{('user', 'assistant')[n % 2]} {n}" for n in range(24)
        ]

    def test_it_shows_one_branch(self):
        asked = say(self.conversation, "One")
        answer(self.conversation, "Not shown")
        answer(self.conversation, "Shown", parent=asked)

        page = self.call("GET", self.path).json()

        assert self.contents(page) == ["One", "Shown"]

    def test_it_refuses_odd_limits_and_places(self):
        elsewhere = say(make_conversation(self.user))
        for query in (
            "limit=0",
            "limit=201",
            "limit=-1",
            "limit=x",
            "limit=٣",
            "limit=0000000015000000",
            "limit=" + "0" * 5000 + "9",
            "limit=" + "9" * 5000,
            "limit=",
            "before=x",
            f"before={uuid.uuid4()}",
            f"before={elsewhere.pk}",
            "before=%ED%A0%80",
        ):
            self.assert_refused(
                self.call("GET", f"{self.path}?{query}"), 400, "invalid"
            )

    def test_it_shows_one_message(self):
        message = say(self.conversation, "One")

        shown = self.call("GET", f"/messages/{message.pk}").json()

        assert (shown["id"], shown["content"]) == (str(message.pk), "One")

    def test_it_says_how_important_one_is(self):
        message = say(self.conversation)

        shown = self.call(
            "PATCH", f"/messages/{message.pk}", {"importance_level": "high"}
        ).json()

        assert shown["importance_level"] == "high"
        self.assert_refused(
            self.call(
                "PATCH", f"/messages/{message.pk}", {"importance_level": "higher"}
            ),
            400,
            "invalid",
        )

    def test_it_changes_nothing_else(self):
        message = say(self.conversation, "Mine")
        before = Message.objects.values().get()

        self.call(
            "PATCH",
            f"/messages/{message.pk}",
            {"content": "x", "role": "assistant", "status": "streaming", "id": "x"},
        )

        assert Message.objects.values().get() == before

    def test_it_writes_nothing_where_nothing_changes(self):
        message = say(self.conversation)

        with self.assertNumQueries(2):  # who asks, and the message
            self.call("PATCH", f"/messages/{message.pk}", {})

    def test_it_deletes_a_message_and_what_follows(self):
        say(self.conversation, "One")
        last = answer(self.conversation, "Two")

        assert self.call("DELETE", f"/messages/{last.pk}").status_code == 204
        assert self.contents(self.call("GET", self.path).json()) == ["One"]

    def test_it_deletes_nothing_while_a_reply_is_written(self):
        message = say(self.conversation)
        answer(self.conversation, "", "streaming")

        response = self.call("DELETE", f"/messages/{message.pk}")

        self.assert_refused(response, 409, "busy")


class ChatHistoryTests(RestTestCase):
    def test_it_is_empty_at_first(self):
        page = self.call("GET", "/chat/history").json()

        assert page == {"next": None, "results": []}
        assert not Conversation.objects.exists()

    def test_it_shows_the_default_conversation(self):
        say(make_conversation(self.user), "Elsewhere")
        talk(make_conversation(self.user, is_default=True), turns=3)

        page = self.call("GET", "/chat/history?limit=2").json()

        assert [m["content"] for m in page["results"]] == ["user 4", "assistant 5"]

    def test_it_deletes_the_default_conversation(self):
        other = say(make_conversation(self.user))
        say(make_conversation(self.user, is_default=True))

        for _ in range(2):
            assert self.call("DELETE", "/chat/history").status_code == 204
        assert Message.objects.get() == other

    def test_it_shows_nobody_elses(self):
        say(make_conversation(bob(), is_default=True))

        assert self.call("GET", "/chat/history").json()["results"] == []
        self.call("DELETE", "/chat/history")
        assert Message.objects.exists()
