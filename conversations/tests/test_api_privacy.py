"""What is Alice's does not exist for Charlie, and nothing for who has not signed in."""

import json
import uuid

from django.test import TestCase

from accounts.models import Team, User
from accounts.tests.factories import alice, bearer, charlie, sofia
from conversations.models import Conversation, Generation, Message
from conversations.tests.factories import answer, make_conversation, say
from llm.testing import scripted

CONVERSATION = [
    ("GET", "/conversations/{}", None),
    ("PATCH", "/conversations/{}", {"title": "Mine now"}),
    ("DELETE", "/conversations/{}", None),
    ("POST", "/conversations/{}/reset", None),
    ("POST", "/conversations/{}/read", None),
    ("GET", "/conversations/{}/messages", None),
    ("POST", "/conversations/{}/messages", {"content": "Hello"}),
    ("POST", "/conversations/{}/messages?wait=true", {"content": "Hello"}),
    ("POST", "/chat/stream", {"conversation_id": "{}", "content": "Hello"}),
]
MESSAGE = [
    ("GET", "/messages/{}", None),
    ("PATCH", "/messages/{}", {"importance_level": "high"}),
    ("DELETE", "/messages/{}", None),
    ("POST", "/messages/{}/stop", None),
    ("POST", "/messages/{}/continue", None),
    ("POST", "/messages/{}/regenerate", None),
    ("GET", "/messages/{}/stream", None),
    ("GET", "/messages/{}/stream?after=1", None),
]


class PrivacyTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        user = alice()
        cls.conversation = make_conversation(user)
        say(cls.conversation, "Secret")
        cls.reply = answer(cls.conversation, "Secret", "interrupted")
        cls.live = make_conversation(user)
        cls.writing = answer(cls.live, "Secret", "streaming")
        # Sofía has a team, and Alice is not in it.
        cls.strangers = [
            bearer(charlie()),
            bearer(sofia(team=Team.objects.create(name="Another"))),
        ]

    def call(self, method, path, body, pk, token=None):
        body = json.dumps(body).replace("{}", str(pk)) if body else ""
        return self.client.generic(
            method,
            f"/api/v1{path.format(pk)}",
            body,
            content_type="application/json",
            headers={"authorization": f"Bearer {token}"} if token else {},
        )

    def assert_hidden(self, calls, pks):
        rows = [list(m.objects.values()) for m in (Conversation, Message, Generation)]
        with scripted("never") as script:
            for method, path, body in calls:
                for token in self.strangers:
                    missing = self.call(method, path, body, uuid.uuid4(), token)
                    assert missing.status_code == 404, (path, missing.content)
                    assert missing.json()["code"] == "not_found"
                    for pk in pks:
                        found = self.call(method, path, body, pk, token)
                        assert found.status_code == 404, (path, found.content)
                        assert found.content == missing.content, path
        assert script.requests == []
        assert rows == [
            list(m.objects.values()) for m in (Conversation, Message, Generation)
        ]

    def test_it_hides_a_conversation_from_everybody_else(self):
        self.assert_hidden(CONVERSATION, [self.conversation.pk, self.live.pk])

    def test_it_hides_a_message_from_everybody_else(self):
        self.assert_hidden(MESSAGE, [self.reply.pk, self.writing.pk])

    def test_it_shows_nothing_without_a_sign_in(self):
        calls = [
            *CONVERSATION,
            *MESSAGE,
            ("GET", "/conversations", None),
            ("POST", "/conversations", {"character": "x"}),
            ("GET", "/chat/history", None),
            ("DELETE", "/chat/history", None),
        ]
        for method, path, body in calls:
            for pk in (self.conversation.pk, self.reply.pk):
                for token in (None, "forged"):
                    response = self.call(method, path, body, pk, token)
                    assert response.status_code == 401, path
                    assert response.json()["code"] == "not_authenticated"

    def test_it_is_not_fooled_by_a_conversation_of_charlies_own(self):
        mine = make_conversation(User.objects.get(email="charlie@example.com"))
        with scripted("never") as script:
            response = self.call(
                "POST",
                "/conversations/{}/messages",
                {"content": "Hello", "reply_to_id": str(self.reply.pk)},
                mine.pk,
                self.strangers[0],
            )
            before = self.client.get(
                f"/api/v1/conversations/{mine.pk}/messages?before={self.reply.pk}",
                headers={"authorization": f"Bearer {self.strangers[0]}"},
            )

        assert response.status_code == before.status_code == 400
        assert b"Secret" not in response.content + before.content
        assert script.requests == []
