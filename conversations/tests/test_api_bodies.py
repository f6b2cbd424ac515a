"""Bodies no client should send: refused in our shape, on both databases alike."""

import json

import pytest

from conversations.models import Conversation, Message
from conversations.tests.factories import make_character, make_conversation
from conversations.tests.test_api_conversations import RestTestCase
from llm.testing import scripted

NOT_OBJECTS = [
    b"",
    b"null",
    b"[]",
    b"5",
    b'"text"',
    b"true",
    b"{",
    b"{'content': 'x'}",
    b"NaN",
    b"\xff\xfe",
    b'{"content": "\xff"}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\x00",
]

#: Values that no text field takes.
NOT_TEXTS = [
    "",
    "   \n",
    "a\x00b",
    "\ud800",
    None,
    [],
    {},
    ["x"],
    {"x": 1},
    True,
    "x" * 1_000_000,
]

ODD_VALUES = [
    b'{"content": NaN}',
    b'{"content": Infinity}',
    b'{"content": 1e999}',
    b'{"content": ' + b"9" * 10_000 + b"}",
    b'{"content": "x", "reply_to_id": "x"}',
    b'{"content": "x", "reply_to_id": 5}',
    b'{"content": "x", "reply_to_id": "00000000-0000-0000-0000-000000000000"}',
    b'{"content": "x", "type": "virus"}',
    b'{"content": "x", "type": ["text"]}',
    b'{"content": "x", "importance_level": 5}',
    b'{"content": "x", "media_urls": "https://a.example"}',
    b'{"content": "x", "media_urls": ["javascript:alert(1)"]}',
    b'{"content": "x", "media_urls": [null]}',
    b'{"content": "x", "media_urls": [' + b'"https://a.b",' * 20 + b'"https://a.b"]}',
    b'{"content": "x", "client_id": ""}',
    b'{"content": "x", "client_id": []}',
    b'{"content": "x", "client_id": "\\u0000"}',
    b'{"content": "x", "client_id": "\\ud800"}',
    b'{"content": "x", "client_id": "' + b"x" * 65 + b'"}',
]


class BodyTests(RestTestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.conversation = make_conversation(cls.user)
        make_character("assistant")

    def send(self, path, body, method="POST", content_type="application/json"):
        with scripted("never") as script:
            response = self.client.generic(
                method,
                f"/api/v1{path}",
                body,
                content_type=content_type,
                headers=self.headers,
            )
        assert script.requests == []
        return response

    def assert_not_taken(self, response):
        assert 400 <= response.status_code < 500, response.content[:300]
        body = response.json()
        assert set(body) <= {"code", "detail", "errors"}
        assert body["code"]
        assert body["detail"]
        for error in body.get("errors", ()):
            assert set(error) == {"field", "code", "detail"}
        assert not Message.objects.exists()
        assert Conversation.objects.exclude(is_default=True).count() == 1

    @property
    def doors(self):
        return (
            f"/conversations/{self.conversation.pk}/messages",
            "/chat/stream",
            "/conversations",
        )

    def test_it_takes_only_objects(self):
        for body in NOT_OBJECTS:
            for path in self.doors:
                self.assert_not_taken(self.send(path, body))

    def test_it_changes_nothing_by_a_body_that_is_no_object(self):
        before = Conversation.objects.values().get()
        for body in NOT_OBJECTS[1:]:
            response = self.send(
                f"/conversations/{self.conversation.pk}", body, method="PATCH"
            )
            self.assert_not_taken(response)
        assert Conversation.objects.values().get() == before

    def test_it_takes_only_texts(self):
        for value in NOT_TEXTS:
            for path, body in (
                (self.doors[0], {"content": value}),
                (
                    self.doors[1],
                    {"conversation_id": str(self.conversation.pk), "content": value},
                ),
                (self.doors[1], {"message": value}),
            ):
                self.assert_not_taken(self.send(path, json.dumps(body)))

    def test_it_takes_only_values_that_fit(self):
        for body in ODD_VALUES:
            self.assert_not_taken(self.send(self.doors[0], body))

    def test_it_takes_only_titles_that_fit(self):
        for value in (None, [], {}, "x" * 201, "a\x00b", "\ud800", True):
            body = json.dumps({"title": value})
            path = f"/conversations/{self.conversation.pk}"
            self.assert_not_taken(self.send(path, body, method="PATCH"))

    def test_it_takes_only_ids_of_conversations(self):
        for value in ("x", 5, None, [], "../admin", "\x00"):
            body = json.dumps({"conversation_id": value, "content": "x"})
            self.assert_not_taken(self.send("/chat/stream", body))

    def test_it_takes_only_json(self):
        for content_type in ("text/plain", "application/xml", "multipart/form-data"):
            response = self.send(self.doors[0], b"content=x", content_type=content_type)
            self.assert_not_taken(response)

    def test_it_takes_no_body_without_end(self):
        body = b'{"content": "' + b"x" * 3_000_000 + b'"}'
        response = self.send(self.doors[0], body)

        assert response.status_code == 413
        assert response.json()["code"] == "too_large"
        assert not Message.objects.exists()

    def test_it_names_the_field(self):
        response = self.send(self.doors[0], b"{}")

        assert response.json()["errors"] == [
            {
                "field": "content",
                "code": "required",
                "detail": "This field is required.",
            }
        ]

    def test_it_knows_no_other_method(self):
        for path in self.doors:
            response = self.send(path, b"{}", method="PUT")
            assert response.status_code == 405
            assert response.json()["code"] == "method_not_allowed"

    def test_it_answers_an_odd_address_in_our_shape(self):
        for path in ("/conversations/x", "/messages/5/stop", "/nothing", "/chat"):
            response = self.send(path, b"{}")
            assert response.status_code == 404
            assert response.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "text",
    [
        "\u202eevil",
        "👩‍👩‍👧",
        "مرحبا",
        "{{ 7*7 }}",
        "{% debug %}",
        "a\u200db",
        "x" * 32_000,
    ],
    ids=range(7),
)
@pytest.mark.django_db
def test_it_returns_any_other_text_as_it_was(text):
    from accounts.tests.factories import alice
    from conversations import turns

    user = alice()

    turn = turns.open(user, make_conversation(user).pk, text)

    assert Message.objects.get(pk=turn.message.pk).content == text
