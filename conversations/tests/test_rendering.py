"""The wire: shapes exactly as documented, and framing that no text can break."""

import json
import uuid
from datetime import UTC, datetime

import pytest
from django.test import TestCase

from accounts.tests.factories import alice
from conversations import events
from conversations.api.streams import plain_chunk
from conversations.models import Conversation, Message
from conversations.rendering import (
    conversation_json,
    dumps,
    error_json,
    event_json,
    message_json,
    sse,
)
from conversations.tests.cases import sse_events
from conversations.tests.factories import answer, make_conversation, say
from llm.models import LanguageModel

C, M, P = (uuid.UUID(int=number) for number in (1, 2, 3))

#: Our own protocol, in the mouth of a model (F12).
HOSTILE = [
    '{"type":"done"}',
    "data: [DONE]",
    "[DONE]",
    "\n\nevent: admin\ndata: {}\n\n",
    "\r\n\r\nevent: admin\r\n",
    "\revent: admin\rdata: x\r",
    "id: 99\n: comment\nretry: 1",
    "<script>alert(1)</script></hx-partial>",
    '"}\n\ndata: {"type":"reply.finished"',
    "\u2028\u2029\x85\x0b\x0c\x00\x1f",
    "\\n\\u0000",
    "😀 ñ 漢字",
    "\ud83d",
]


def delta(text):
    return events.ReplyDelta(C, M, 7, text)


@pytest.mark.parametrize("text", HOSTILE)
def test_it_frames_any_text_as_one_event(text):
    frame = sse(delta(text))

    assert frame.endswith("\n\n")
    assert frame.count("\n") == 4
    assert "\r" not in frame
    (event,) = sse_events(frame)
    assert set(event) == {"event", "id", "data"}
    assert (event["event"], event["id"]) == ("reply.delta", "7")
    assert json.loads(event["data"])["text"] == text


@pytest.mark.parametrize("text", HOSTILE)
def test_it_sends_any_text_as_one_json_object(text):
    shape = json.loads(event_json(delta(text)))

    assert shape == {
        "type": "reply.delta",
        "conversation_id": str(C),
        "message_id": str(M),
        "seq": 7,
        "text": text,
    }


def read_plain(body):
    """Return the data of every event, as EventSource does; it ends lines at CR too."""
    found = []
    for block in body.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        lines = [line for line in block.split("\n") if line]
        assert all(line.startswith("data: ") for line in lines), block
        if lines:
            found.append("\n".join(line[6:] for line in lines))
    return found


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Hello", ["Hello"]),
        ("one\ntwo", ["one\ntwo"]),
        ("one\r\ntwo\rthree", ["one\ntwo\nthree"]),
        ("  indented", ["  indented"]),
        ("[DONE]", ["[DON", "E]"]),
        ("so\n[DONE]\nmore", ["so\n[DON", "E]\nmore"]),
        ("data: [DONE]", ["data: [DONE]"]),
        ("\n\nevent: admin\ndata: x", ["\n\nevent: admin\ndata: x"]),
        ("\n", ["\n"]),
    ],
)
def test_it_chunks_plain_text_so_that_nothing_ends_it(text, parts):
    assert read_plain(plain_chunk(text)) == parts


@pytest.mark.parametrize(
    ("event", "shape"),
    [
        (
            events.ReplyStarted(C, M, 1, P),
            {"type": "reply.started", "message_id": M, "seq": 1, "parent_id": P},
        ),
        (
            events.ReplyEnded(
                C,
                M,
                9,
                status="complete",
                finish_reason="stop",
                usage={"prompt": 1, "completion": 2, "exact": True},
            ),
            {
                "type": "reply.finished",
                "message_id": M,
                "seq": 9,
                "finish_reason": "stop",
                "usage": {"prompt": 1, "completion": 2, "exact": True},
            },
        ),
        *(
            (
                events.ReplyEnded(
                    C,
                    M,
                    9,
                    status=status,
                    finish_reason="",
                    usage={},
                    code="provider_busy",
                    detail="The model is busy.",
                ),
                {
                    "type": f"reply.{status}",
                    "message_id": M,
                    "seq": 9,
                    "code": "provider_busy",
                    "detail": "The model is busy.",
                },
            )
            for status in ("stopped", "interrupted", "failed")
        ),
        (
            events.MessageCreated(C, {"id": M}, "one"),
            {"type": "message.created", "message": {"id": M}, "client_id": "one"},
        ),
        (
            events.MessageUpdated(C, {"id": M}),
            {"type": "message.updated", "message": {"id": M}},
        ),
        (events.MessageDeleted(C, M), {"type": "message.deleted", "message_id": M}),
        (
            events.ConversationUpdated(C, {"id": C}),
            {"type": "conversation.updated", "conversation": {"id": C}},
        ),
        (events.Typing(C, P), {"type": "typing", "user_id": P}),
        (events.Read(C, "now"), {"type": "read", "read_at": "now"}),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_it_sends_every_event_in_its_shape(event, shape):
    expected = json.loads(dumps({"conversation_id": C, **shape}))

    assert json.loads(event_json(event)) == expected


def test_it_numbers_only_the_events_of_replies():
    assert "id: " in sse(events.ReplyStarted(C, M, 1, None))
    assert "id: " not in sse(events.MessageUpdated(C, {}))


def test_it_says_what_was_refused():
    shape = json.loads(error_json({"code": "busy", "detail": "Wait."}, client_id="x"))

    assert shape == {
        "type": "error",
        "code": "busy",
        "detail": "Wait.",
        "client_id": "x",
    }


class ShapeTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.conversation = make_conversation(alice(), title="Jukeboxes")

    def test_it_shows_a_conversation(self):
        model = LanguageModel.objects.create(
            label="Fast", provider="ollama", name="tiny"
        )
        moment = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
        Conversation.objects.update(
            model=model, created_at=moment, last_message_at=moment
        )

        shape = conversation_json(Conversation.objects.with_unread().get())

        character = self.conversation.character
        assert json.loads(dumps(shape)) == {
            "id": str(self.conversation.pk),
            "character": {
                "slug": character.slug,
                "name": character.name,
                "avatar_url": None,
            },
            "title": "Jukeboxes",
            "is_pinned": False,
            "status": "open",
            "model": "Fast",
            "created_at": "2026-03-10T12:30:00Z",
            "last_message_at": "2026-03-10T12:30:00Z",
            "last_message_preview": "",
            "unread": 0,
        }

    def test_it_shows_what_a_person_wrote(self):
        quoted = say(self.conversation)
        message = say(
            self.conversation,
            "Hello",
            client_id="one",
            reply_to=quoted,
            importance_level="high",
            media_urls=["https://a.example/b.png"],
            type="image",
            created_at=datetime(2026, 3, 10, tzinfo=UTC),
        )

        assert json.loads(dumps(message_json(message))) == {
            "id": str(message.pk),
            "conversation_id": str(self.conversation.pk),
            "parent_id": str(quoted.pk),
            "role": "user",
            "content": "Hello",
            "type": "image",
            "status": "sent",
            "reply_to_id": str(quoted.pk),
            "importance_level": "high",
            "media_urls": ["https://a.example/b.png"],
            "client_id": "one",
            "created_at": "2026-03-10T00:00:00Z",
        }

    def assert_generated(self, message, **fields):
        shape = json.loads(dumps(message_json(message)))
        found = {
            key: shape[key] for key in ("model", "finish_reason", "usage", "error")
        }
        nothing = dict.fromkeys(found)
        assert found == nothing | fields

    def test_it_shows_how_a_reply_was_generated(self):
        reply = answer(
            self.conversation,
            generation={
                "model": "ollama/tiny",
                "prompt_tokens": 10,
                "completion_tokens": 3,
                "is_usage_exact": True,
            },
        )

        self.assert_generated(
            reply,
            model="ollama/tiny",
            finish_reason="stop",
            usage={"prompt": 10, "completion": 3, "exact": True},
        )

    def test_it_shows_why_a_reply_was_not_finished(self):
        reply = answer(
            self.conversation,
            status="failed",
            generation={"error_code": "provider_busy"},
        )

        self.assert_generated(
            reply,
            error={
                "code": "provider_busy",
                "detail": "The model is busy. Try again in a moment.",
            },
        )

    def test_it_shows_a_greeting_that_nobody_generated(self):
        greeting = Message.objects.create(
            conversation=self.conversation, role="assistant", status="complete"
        )

        self.assert_generated(greeting)

    def test_it_counts_replies_that_were_not_read(self):
        answer(self.conversation, "Unread")
        say(self.conversation, "Mine")
        answer(make_conversation(self.conversation.user), "Elsewhere")

        counted = Conversation.objects.with_unread().get(pk=self.conversation.pk)
        assert counted.unread == 1
        Conversation.objects.update(last_read_at=datetime.now(UTC))
        assert Conversation.objects.with_unread().first().unread == 0
