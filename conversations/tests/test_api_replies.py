"""Replies over REST and server-sent events."""

import asyncio
import json
from unittest import mock

from asgiref.sync import sync_to_async
from django.test import override_settings

from conversations import generations, lifecycle
from conversations.api import streams
from conversations.models import Message
from conversations.tests.cases import ApiTestCase, first, read, sse_events, until
from conversations.tests.factories import (
    answer,
    make_adult_character,
    make_character,
    make_conversation,
    say,
)
from llm.errors import ProviderError
from llm.models import DailyUsage
from llm.testing import scripted

TEXTS = ("Once", " upon", " a", " time")


class ReplyApiTestCase(ApiTestCase):
    @property
    def path(self):
        return f"/conversations/{self.conversation.pk}/messages"

    async def json(self, method, path, body=None, **headers):
        response = await self.call(method, path, body, **headers)
        return json.loads(await read(response))

    async def events(self, method, path, body=None, **headers):
        response = await self.call(method, path, body, **headers)
        assert response.status_code == 200, await read(response)
        assert response["Content-Type"].startswith("text/event-stream")
        assert response["Cache-Control"] == "no-store"
        events = sse_events(await read(response))
        assert events.pop() == {"data": "[DONE]"}
        return [json.loads(event["data"]) | {"_": event} for event in events]

    async def assert_refused(self, response, status, code):
        body = await read(response)
        assert response.status_code == status, body
        assert json.loads(body)["code"] == code
        return json.loads(body)

    @sync_to_async
    def make_reply(self, content="Once upon", status="interrupted", **generation):
        say(self.conversation)
        return answer(self.conversation, content, status, generation=generation)


def text_in(events):
    return "".join(e["text"] for e in events if e["type"] == "reply.delta")


class SendTests(ReplyApiTestCase):
    async def test_it_stores_and_starts(self):
        with scripted(*TEXTS) as script:
            response = await self.call("POST", self.path, {"content": "Hello"})
            turn = json.loads(await read(response))
            await until(lambda: script.finished and not generations._runs)

        assert response.status_code == 201
        assert turn["message"]["content"] == "Hello"
        assert turn["message"]["status"] == "sent"
        assert turn["reply"]["status"] == "streaming"
        assert turn["reply"]["parent_id"] == turn["message"]["id"]
        shown = await self.json("GET", f"/messages/{turn['reply']['id']}")
        assert (shown["status"], shown["content"]) == ("complete", "Once upon a time")
        assert shown["usage"] == {"prompt": 10, "completion": 4, "exact": True}

    async def test_it_waits_for_the_end_when_asked_to(self):
        with scripted(*TEXTS):
            response = await self.call(
                "POST", f"{self.path}?wait=true", {"content": "Hello"}
            )
            turn = json.loads(await read(response))

        assert response.status_code == 201
        assert response["Content-Type"] == "application/json"
        assert turn["reply"]["content"] == "Once upon a time"
        assert turn["reply"]["finish_reason"] == "stop"
        assert turn["reply"]["error"] is None

    async def test_what_was_said_is_read_when_its_reply_has_ended(self):
        path = f"{self.path}?wait=true"
        with scripted(*TEXTS):
            turn = await self.json("POST", path, {"content": "Hello"})
        with (
            scripted(fail_with=ProviderError("provider_busy")),
            self.assertLogs("tertulia.app", "WARNING"),
        ):
            failed = await self.json("POST", path, {"content": "Hello?"})

        for said in (turn["message"], failed["message"]):
            assert said["status"] == "read"
            assert said == await self.json("GET", f"/messages/{said['id']}")

    async def test_it_says_how_a_reply_failed(self):
        with (
            scripted(fail_with=ProviderError("provider_auth", "key sk-123")),
            self.assertLogs("tertulia.app", "WARNING"),
        ):
            turn = await self.json(
                "POST", f"{self.path}?wait=true", {"content": "Hello"}
            )

        assert turn["reply"]["status"] == "failed"
        assert turn["reply"]["error"]["code"] == "provider_auth"
        assert "sk-123" not in json.dumps(turn)

    async def test_it_keeps_a_long_wait_open(self):
        gate = asyncio.Event()
        with (
            mock.patch.multiple(streams, BEAT=0.005, KEEP_ALIVE=0.01),
            scripted(gate=gate),
        ):
            response = await self.call(
                "POST", f"{self.path}?wait=true", {"content": "Hello"}
            )
            asyncio.get_running_loop().call_later(0.05, gate.set)
            body = await read(response)

        assert body.startswith(" ")
        assert json.loads(body)["reply"]["status"] == "failed"

    async def test_it_says_that_a_reply_was_deleted_while_somebody_waited(self):
        with (
            mock.patch.object(generations, "CHECKPOINT_SECONDS", 0.01),
            scripted("Once", gate=asyncio.Event()),
        ):
            response = await self.call(
                "POST", f"{self.path}?wait=true", {"content": "Hello"}
            )
            body = asyncio.create_task(read(response))
            await asyncio.sleep(0.02)
            await sync_to_async(lifecycle.delete)(self.conversation)

            assert json.loads(await body)["code"] == "not_found"

    async def test_it_answers_the_same_client_id_with_the_same_turn(self):
        body = {"content": "Hello", "client_id": "one"}
        with scripted(*TEXTS) as script:
            once = await self.json("POST", f"{self.path}?wait=true", body)
            response = await self.call("POST", f"{self.path}?wait=true", body)
            twice = json.loads(await read(response))

        assert response.status_code == 200
        assert twice["reply"] == once["reply"]
        assert twice["message"]["id"] == once["message"]["id"]
        assert len(script.requests) == 1

    async def test_it_refuses_another_text_with_the_same_client_id(self):
        with scripted("Hi"):
            await self.json(
                "POST", f"{self.path}?wait=1", {"content": "Hi", "client_id": "one"}
            )
            response = await self.call(
                "POST", self.path, {"content": "Ho", "client_id": "one"}
            )

        await self.assert_refused(response, 409, "client_id_reused")

    async def test_it_refuses_a_second_message_meanwhile(self):
        with scripted("Once", gate=asyncio.Event()):
            await self.json("POST", self.path, {"content": "One"})
            response = await self.call("POST", self.path, {"content": "Two"})

        await self.assert_refused(response, 409, "busy")

    async def test_it_says_when_units_are_there_again(self):
        await sync_to_async(type(self.user).objects.update)(daily_units=0)

        response = await self.call("POST", self.path, {"content": "Hello"})

        body = await self.assert_refused(response, 429, "quota_exceeded")
        assert body["reset_at"]
        assert 0 < int(response["Retry-After"]) <= 86_400

    async def test_it_limits_every_door_together(self):
        with override_settings(CHAT_RATE="2/m"), scripted("Hi"):
            await self.json("POST", f"{self.path}?wait=1", {"content": "One"})
            await self.events(
                "POST",
                "/chat/stream",
                {"conversation_id": str(self.conversation.pk), "content": "Two"},
            )
            response = await self.call("POST", self.path, {"content": "Three"})

        await self.assert_refused(response, 429, "rate_limited")
        assert int(response["Retry-After"]) > 0

    async def test_it_stores_what_else_a_message_has(self):
        quoted = await sync_to_async(say)(self.conversation)
        with scripted("Hi"):
            turn = await self.json(
                "POST",
                f"{self.path}?wait=1",
                {
                    "content": "Look",
                    "type": "image",
                    "media_urls": ["https://a.example/b.png"],
                    "reply_to_id": str(quoted.pk),
                    "importance_level": "high",
                },
            )

        message = turn["message"]
        assert message["type"] == "image"
        assert message["media_urls"] == ["https://a.example/b.png"]
        assert message["reply_to_id"] == str(quoted.pk)
        assert message["importance_level"] == "high"


class AgainTests(ReplyApiTestCase):
    async def test_it_stops(self):
        with scripted("Once", " upon", gate=asyncio.Event()) as script:
            turn = await self.open()
            await first(turn.reply.pk, 2)
            response = await self.call("POST", f"/messages/{turn.reply.pk}/stop")
            reply = await self.settled(turn.reply)

        assert response.status_code == 202
        assert (reply.status, reply.content) == ("stopped", "Once")
        assert script.closed == 1

    async def test_it_continues(self):
        reply = await self.make_reply()
        with scripted(" a time"):
            response = await self.call("POST", f"/messages/{reply.pk}/continue?wait=1")
            turn = json.loads(await read(response))

        assert response.status_code == 202
        assert turn["message"] is None
        assert turn["reply"]["id"] == str(reply.pk)
        assert turn["reply"]["content"] == "Once upon a time"

    async def test_it_continues_no_greeting_and_nothing_whole(self):
        whole = await self.make_reply(status="complete")
        greeting = (await sync_to_async(self._begin)()).head
        for pk in (whole.pk, greeting.pk):
            response = await self.call("POST", f"/messages/{pk}/continue")
            await self.assert_refused(response, 409, "cannot_continue")

    def _begin(self):
        return lifecycle.begin(self.user, make_character("host", greeting="Hi."))

    async def test_it_writes_again(self):
        reply = await self.make_reply("One", "complete")
        with scripted("Two"):
            response = await self.call(
                "POST", f"/messages/{reply.pk}/regenerate?wait=1"
            )
            turn = json.loads(await read(response))

        assert response.status_code == 202
        assert turn["reply"]["content"] == "Two"
        assert turn["reply"]["parent_id"] == str(reply.parent_id)
        page = await self.json("GET", self.path)
        assert [m["content"] for m in page["results"]] == ["Hello", "Two"]


class AgeGateTests(ReplyApiTestCase):
    """Nobody too young talks with an adult character, through whatever door."""

    async def test_it_refuses_every_way_to_talk(self):
        conversation, reply = await sync_to_async(self.make)()
        with scripted("never") as script:
            for path, body in (
                (f"/conversations/{conversation.pk}/messages", {"content": "Hi"}),
                (
                    "/chat/stream",
                    {"conversation_id": str(conversation.pk), "content": "Hi"},
                ),
                (f"/messages/{reply.pk}/continue", None),
                (f"/messages/{reply.pk}/regenerate", None),
                (f"/conversations/{conversation.pk}/reset", None),
                ("/conversations", {"character": "luna"}),
            ):
                response = await self.call("POST", path, body)
                await self.assert_refused(response, 403, "age_restricted")

        assert script.requests == []
        assert not await DailyUsage.objects.aexists()

    def make(self):
        conversation = make_conversation(self.user, make_adult_character("luna"))
        say(conversation)
        return conversation, answer(conversation, status="interrupted")

    async def test_it_takes_no_age_from_the_client(self):
        conversation, _reply = await sync_to_async(self.make)()
        with scripted("never"):
            response = await self.call(
                "POST",
                f"/conversations/{conversation.pk}/messages",
                {"content": "Hi", "birthdate": "1990-01-01", "is_adult": True},
            )

        await self.assert_refused(response, 403, "age_restricted")


class DrainTests(ReplyApiTestCase):
    async def test_it_takes_no_turn_while_the_server_ends(self):
        with mock.patch.object(generations, "_is_draining", True):
            response = await self.call("POST", self.path, {"content": "Hello"})

        await self.assert_refused(response, 503, "unavailable")
        assert response["Retry-After"]
        assert not await Message.objects.aexists()
