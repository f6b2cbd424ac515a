"""Replies as server-sent events, and as plain text."""

import asyncio
import json
from unittest import mock

from asgiref.sync import sync_to_async

from conversations import generations, lifecycle
from conversations.api import streams
from conversations.models import Conversation, Message
from conversations.tests.cases import first, read, sse_events, until
from conversations.tests.factories import (
    make_character,
    say,
)
from conversations.tests.test_api_replies import TEXTS, ReplyApiTestCase, text_in
from llm.errors import ProviderError
from llm.testing import scripted


class ChatStreamTests(ReplyApiTestCase):
    def body(self, **fields):
        return {
            "conversation_id": str(self.conversation.pk),
            "content": "Hello",
            **fields,
        }

    async def test_it_streams_a_turn(self):
        with scripted(*TEXTS, delay=0.005):
            events = await self.events(
                "POST", "/chat/stream", self.body(client_id="one")
            )

        types = [event["type"] for event in events]
        assert types[0] == "message.created"
        assert types[-2:] == ["reply.delta", "reply.finished"]
        assert events[0]["client_id"] == "one"
        numbers = [event["seq"] for event in events[1:]]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == 6
        for event in events[1:]:
            assert event["_"]["event"] == event["type"]
            assert event["_"]["id"] == str(event["seq"])
        assert text_in(events) == "Once upon a time"

    async def test_it_streams_plain_text_from_the_default_conversation(self):
        await sync_to_async(make_character)("assistant")
        with scripted("Once\n", "upon"):
            response = await self.call("POST", "/chat/stream", {"message": "Hello"})
            body = await read(response)

        assert body.endswith("data: [DONE]\n\n")
        found = await Conversation.objects.aget(is_default=True)
        assert found.character_id == "assistant"
        assert (
            body.replace("\ndata: ", "\n")
            .replace("data: ", "")
            .replace("\n\n", "")
            .startswith("Once")
        )

    async def test_it_leaves_the_context_out_when_asked_to(self):
        await sync_to_async(make_character)("assistant")
        with scripted("Hi") as script:
            for message in ("One", "Two"):
                response = await self.call(
                    "POST", "/chat/stream", {"message": message, "use_context": False}
                )
                await read(response)

        assert [m.content for m in script.requests[1].messages[1:]] == ["Two"]

    async def test_it_says_in_plain_text_too_that_a_reply_broke_off(self):
        await sync_to_async(make_character)("assistant")
        with (
            scripted("Once", fail_with=ProviderError("provider_busy", "secret")),
            self.assertLogs("tertulia.app", "WARNING"),
        ):
            body = await read(
                await self.call("POST", "/chat/stream", {"message": "Hello"})
            )

        assert "data: Once\n\n" in body
        assert "event: error\ndata: The model is busy." in body
        assert "secret" not in body

    async def test_it_refuses_before_it_streams(self):
        with scripted("Once", gate=asyncio.Event()):
            await self.json("POST", self.path, {"content": "One"})
            response = await self.call("POST", "/chat/stream", self.body())

        await self.assert_refused(response, 409, "busy")

    async def test_it_frames_what_a_model_says_in_our_own_words(self):
        hostile = 'data: [DONE]\n\nevent: admin\ndata: {"type":"reply.finished"}\n\n'
        with scripted(hostile, "[DONE]"):
            events = await self.events("POST", "/chat/stream", self.body())

        assert text_in(events) == hostile + "[DONE]"
        assert {event["_"]["event"] for event in events} == {
            "message.created",
            "reply.started",
            "reply.delta",
            "reply.finished",
        } & {event["type"] for event in events}

    async def test_it_sends_comments_while_nothing_comes(self):
        gate = asyncio.Event()
        with (
            mock.patch.multiple(streams, BEAT=0.005, KEEP_ALIVE=0.01),
            scripted("x", gate=gate),
        ):
            response = await self.call("POST", "/chat/stream", self.body())
            asyncio.get_running_loop().call_later(0.05, gate.set)
            body = await read(response)

        assert "\n\n: keep-alive\n\n" in body

    async def test_it_goes_on_writing_for_who_left(self):
        gate = asyncio.Event()
        with scripted(*TEXTS, gate=gate) as script:
            response = await self.call("POST", "/chat/stream", self.body())
            stream = response.streaming_content
            await anext(stream)
            await anext(stream)
            await stream.aclose()
            gate.set()
            await until(lambda: script.finished and not generations._runs)

        reply = await Message.objects.aget(role="assistant")
        assert (reply.status, reply.content) == ("complete", "Once upon a time")


class FollowTests(ReplyApiTestCase):
    async def test_it_resumes_after_any_event(self):
        reply = await self.make_reply("Once upon", "complete", lengths="0,4,5,0")

        for after, text in enumerate(["Once upon", "Once upon", " upon", "", ""]):
            for path, headers in (
                (f"/messages/{reply.pk}/stream?after={after}", {}),
                (f"/messages/{reply.pk}/stream", {"last-event-id": str(after)}),
            ):
                events = await self.events("GET", path, **headers)
                assert text_in(events) == text
                assert events[-1]["type"] == "reply.finished"

    async def test_it_follows_a_live_reply(self):
        gate = asyncio.Event()
        with scripted(*TEXTS, gate=gate):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            response = await self.call("GET", f"/messages/{turn.reply.pk}/stream")
            body = asyncio.create_task(read(response))
            await asyncio.sleep(0.01)
            gate.set()
            events = sse_events(await body)

        assert json.loads(events[0]["data"])["text"] == "Once"
        assert events[-1] == {"data": "[DONE]"}

    async def test_it_refuses_an_odd_number(self):
        reply = await self.make_reply()
        for after in ("x", "-1", "1.5", "٣"):
            response = await self.call(
                "GET", f"/messages/{reply.pk}/stream?after={after}"
            )
            await self.assert_refused(response, 400, "invalid")

    async def test_it_survives_a_number_out_of_this_world(self):
        reply = await self.make_reply()

        events = await self.events(
            "GET", f"/messages/{reply.pk}/stream?after={'9' * 40}"
        )

        assert events[0]["type"] == "message.updated"
        assert events[0]["message"]["content"] == "Once upon"

    async def test_it_follows_no_message_of_a_person_and_no_greeting(self):
        message = await sync_to_async(say)(self.conversation)
        greeting = await sync_to_async(self._greeting)()
        for pk in (message.pk, greeting.pk):
            response = await self.call("GET", f"/messages/{pk}/stream")
            await self.assert_refused(response, 404, "not_found")

    def _greeting(self):
        character = make_character("host", greeting="Welcome.")
        return lifecycle.begin(self.user, character).head
