"""Values of messages and conversations that are not taken, beside wrong types.

Bodies of any other shape are sent to every operation by `config/tests/test_bodies.py`.
"""

import pytest

from conversations.models import Conversation, Message
from conversations.tests.factories import make_character, make_conversation
from conversations.tests.test_api_conversations import RestTestCase
from llm.testing import scripted

BLANK = ["", "   \n", None]

ODD_VALUES = [
    {"reply_to_id": "00000000-0000-0000-0000-000000000000"},
    {"media_urls": ["javascript:alert(1)"]},
    {"media_urls": [None]},
    {"media_urls": ["https://a.example"] * 21},
    {"client_id": ""},
    {"client_id": "x" * 65},
]


class BodyTests(RestTestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.conversation = make_conversation(cls.user)
        make_character("assistant")

    def send(self, path, body, method="POST"):
        with scripted("never") as script:
            response = self.call(method, path, body)
        assert script.requests == []
        return response

    def assert_not_taken(self, response):
        self.assert_refused(response, 400, "invalid")
        assert not Message.objects.exists()
        assert Conversation.objects.exclude(is_default=True).get().title == ""

    @property
    def messages(self):
        return f"/conversations/{self.conversation.pk}/messages"

    def test_it_takes_no_blank_message(self):
        here = {"conversation_id": str(self.conversation.pk)}
        for text in BLANK:
            for path, body in (
                (self.messages, {"content": text}),
                ("/chat/stream", {**here, "content": text}),
                ("/chat/stream", {"message": text}),
            ):
                self.assert_not_taken(self.send(path, body))

    def test_it_takes_only_values_that_fit(self):
        for values in ODD_VALUES:
            self.assert_not_taken(self.send(self.messages, {"content": "x", **values}))

    def test_it_takes_only_titles_that_fit(self):
        path = f"/conversations/{self.conversation.pk}"
        for title in (None, "x" * 201):
            self.assert_not_taken(self.send(path, {"title": title}, "PATCH"))

    def test_it_takes_no_conversation_that_is_null(self):
        body = {"conversation_id": None, "content": "x"}
        self.assert_not_taken(self.send("/chat/stream", body))

    def test_it_names_the_field(self):
        response = self.send(self.messages, {})

        assert response.json()["errors"] == [
            {
                "field": "content",
                "code": "required",
                "detail": "This field is required.",
            }
        ]

    def test_it_knows_no_other_method(self):
        for path in (self.messages, "/chat/stream", "/conversations"):
            self.assert_refused(self.send(path, {}, "PUT"), 405, "method_not_allowed")


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
