"""`/ws/`: commands and events, one JSON object a frame."""

import asyncio
import uuid
from contextlib import suppress
from unittest import mock

from asgiref.sync import sync_to_async
from django.db import OperationalError

from accounts.tests.factories import bob, charlie
from conversations import doorbell, generations, lifecycle, relay, sockets, turns
from conversations.models import Conversation, Message
from conversations.tests.cases import until
from conversations.tests.factories import (
    answer,
    make_adult_character,
    make_conversation,
    say,
)
from conversations.tests.socket_cases import SocketTestCase, token_of
from llm.testing import scripted

TEXTS = ("Once", " upon", " a", " time")


def text_in(events):
    return "".join(e["text"] for e in events if e["type"] == "reply.delta")


class JsonSocketTestCase(SocketTestCase):
    def setUp(self):
        super().setUp()
        self.headers = token_of(self.user)

    def socket(self, headers=None):
        return self.connected("/ws/", headers or self.headers)

    async def send(self, socket, content="Hello", **fields):
        await socket.command(
            "message.send",
            **{"conversation_id": str(self.conversation.pk), "content": content}
            | fields,
        )

    async def reply(self, content="Once upon", status="complete"):
        make = sync_to_async(
            lambda: (say(self.conversation), self._answer(content, status))
        )
        return (await make())[1]

    def _answer(self, content, status):
        return answer(
            self.conversation, content, status, generation={"lengths": "0,4,5,0"}
        )

    async def assert_usable(self, socket):
        await socket.command("ping")
        assert await socket.next() == {"type": "pong"}


class SendTests(JsonSocketTestCase):
    async def test_it_shows_one_s_own_reply_however_many_are_followed(self):
        reply = await self.reply()
        with scripted(*TEXTS), mock.patch.object(sockets, "MAX_FOLLOWED", 0):
            async with self.socket() as socket:
                await self.send(socket)
                assert text_in(await socket.until_end()) == "".join(TEXTS)

                await socket.command("follow", message_id=str(reply.pk))
                assert (await socket.next())["code"] == "malformed"

    async def test_it_acknowledges_and_tells_the_reply(self):
        with scripted(*TEXTS, delay=0.005):
            async with self.socket() as socket:
                await self.send(socket, client_id="one")
                events = await socket.until_end()

        assert [event["type"] for event in events] == [
            "message.created",
            "reply.started",
            *["reply.delta"] * 4,
            "reply.finished",
        ]
        created = events[0]
        assert created["client_id"] == "one"
        stored = await Message.objects.aget(role="user")
        assert created["message"]["id"] == str(stored.pk)
        assert created["message"]["content"] == "Hello"
        assert [event["seq"] for event in events[1:]] == [1, 2, 3, 4, 5, 6]
        assert {event["conversation_id"] for event in events} == {
            str(self.conversation.pk)
        }

    async def test_it_acknowledges_what_is_in_the_database_already(self):
        with scripted("Once", gate=asyncio.Event()):
            async with self.socket() as socket:
                await self.send(socket)
                created = await socket.next()
                assert await Message.objects.filter(
                    pk=created["message"]["id"]
                ).aexists()

    async def test_it_answers_the_same_client_id_with_the_same_turn(self):
        with scripted(*TEXTS) as script:
            async with self.socket() as socket:
                await self.send(socket, client_id="one")
                first = await socket.until_end()
                await self.send(socket, client_id="one")
                second = await socket.until_end()

        assert second[0]["message"]["id"] == first[0]["message"]["id"]
        assert second[-1] == first[-1]
        assert len(script.requests) == 1

    async def test_it_takes_other_commands_while_a_reply_is_written(self):
        gate = asyncio.Event()
        with scripted(*TEXTS, gate=gate):
            async with self.socket() as socket:
                await self.send(socket)
                for _ in range(3):
                    await socket.next()
                await self.assert_usable(socket)
                await self.send(socket, "Too soon", client_id="two")
                refusal = await socket.next()
                gate.set()
                await socket.until_end()

        assert (refusal["type"], refusal["code"]) == ("error", "busy")
        assert refusal["client_id"] == "two"

    async def test_it_goes_on_writing_when_the_socket_is_gone(self):
        gate = asyncio.Event()
        with scripted(*TEXTS, gate=gate) as script:
            async with self.socket() as socket:
                await self.send(socket)
                for _ in range(3):
                    await socket.next()
            gate.set()
            await until(lambda: script.finished and not generations._runs)

        reply = await Message.objects.aget(role="assistant")
        assert (reply.status, reply.content) == ("complete", "Once upon a time")

    async def test_it_starts_the_reply_whatever_becomes_of_the_socket(self):
        with (
            scripted("Once") as script,
            mock.patch(
                "conversations.consumers.JsonConsumer.show", side_effect=ConnectionError
            ),
        ):
            socket = self.socket()
            connected = await socket.__aenter__()
            await self.send(connected)
            await until(lambda: script.finished and not generations._runs)
            with suppress(ConnectionError):
                await socket.__aexit__(None, None, None)

        assert (await Message.objects.aget(role="assistant")).status == "complete"

    async def test_it_stops(self):
        with scripted("Once", " upon", gate=asyncio.Event()) as script:
            async with self.socket() as socket:
                await self.send(socket)
                events = [await socket.next() for _ in range(3)]
                await socket.command("message.stop", message_id=events[1]["message_id"])
                end = (await socket.until_end())[-1]

        assert (end["type"], end["code"]) == ("reply.stopped", "stopped")
        assert script.closed == 1

    async def test_it_refuses_who_is_too_young(self):
        adult = await sync_to_async(self._adult)()
        async with self.socket() as socket:
            await self.send(socket, conversation_id=str(adult.pk))

            assert (await socket.next())["code"] == "age_restricted"

    def _adult(self):
        return make_conversation(self.user, make_adult_character())


class FollowTests(JsonSocketTestCase):
    async def test_it_resumes_after_an_event(self):
        reply = await self.reply()
        async with self.socket() as socket:
            await socket.command("follow", message_id=str(reply.pk), after=2)
            events = await socket.until_end()

        assert events[0]["text"] == " upon"
        assert events[-1]["type"] == "reply.finished"

    async def test_it_follows_from_the_start_without_a_number(self):
        reply = await self.reply()
        async with self.socket() as socket:
            await socket.command("follow", message_id=str(reply.pk))

            assert (await socket.next())["text"] == "Once upon"

    async def test_it_refuses_an_odd_number(self):
        reply = await self.reply()
        async with self.socket() as socket:
            for after in (-1, "2", None, 1.5, [1]):
                await socket.command("follow", message_id=str(reply.pk), after=after)
                assert (await socket.next())["code"] == "malformed"
            await self.assert_usable(socket)

    async def test_it_shows_a_second_socket_of_the_same_user_the_turn_live(self):
        gate = asyncio.Event()
        with scripted(*TEXTS, gate=gate):
            async with self.socket() as one, self.socket() as two:
                await self.send(one, client_id="one")
                seen = [await two.next()]
                while seen[-1]["type"] != "reply.delta":
                    seen.append(await two.next())
                live = text_in(seen)
                gate.set()
                seen += await two.until_end()
                await one.until_end()

        assert live == "Once"
        assert (seen[0]["type"], seen[0]["client_id"]) == ("message.created", "one")
        assert text_in(seen) == "Once upon a time"

    async def test_it_tells_the_sender_once(self):
        with scripted(*TEXTS):
            async with self.socket() as socket:
                await self.send(socket)
                events = await socket.until_end()
                assert await socket.hears_nothing()

        assert [event["type"] for event in events].count("message.created") == 1

    async def test_it_shows_a_turn_that_began_elsewhere(self):
        with scripted(*TEXTS):
            async with self.socket() as socket:
                await self.open("From REST")
                events = await socket.until_end()

        assert events[0]["message"]["content"] == "From REST"

    async def test_it_shows_a_reply_that_is_continued_elsewhere(self):
        reply = await self.reply(status="interrupted")
        with scripted(" a"):
            async with self.socket() as socket:
                await self.resume(reply)
                events = await socket.until_end()

        assert text_in(events) == " a"
        assert [event["seq"] for event in events][-2:] == [6, 7]

    async def test_it_shows_nothing_to_anybody_else(self):
        strangers = await sync_to_async(
            lambda: [token_of(charlie()), token_of(bob())]
        )()
        with scripted(*TEXTS):
            async with (
                self.socket(strangers[0]) as of_charlie,
                self.socket(strangers[1]) as of_bob,
                self.socket() as socket,
            ):
                await self.send(socket)
                await socket.until_end()
                await socket.command("read", conversation_id=str(self.conversation.pk))
                await socket.command(
                    "typing", conversation_id=str(self.conversation.pk)
                )
                assert await of_charlie.hears_nothing()
                assert await of_bob.hears_nothing()

    async def test_it_looks_again_when_the_database_is_back(self):
        reply = await self.reply()
        follow = relay.follow
        outcomes = iter([OperationalError("away")])

        async def fail_or_follow(message_id, after):
            for error in outcomes:
                raise error
            async for event in follow(message_id, after):
                yield event

        with (
            mock.patch.object(relay, "follow", fail_or_follow),
            mock.patch("conversations.sockets.asyncio.sleep", mock.AsyncMock()),
        ):
            async with self.socket() as socket:
                await socket.command("follow", message_id=str(reply.pk))
                assert (await socket.until_end())[-1]["type"] == "reply.finished"


class RingTests(JsonSocketTestCase):
    """What one socket does, the user's others are told."""

    async def test_it_tells_who_types(self):
        async with self.socket() as one, self.socket() as two:
            await one.command("typing", conversation_id=str(self.conversation.pk))

            assert await two.next() == {
                "type": "typing",
                "conversation_id": str(self.conversation.pk),
                "user_id": str(self.user.pk),
            }
            assert await one.hears_nothing()

    async def test_it_tells_what_was_read(self):
        async with self.socket() as one, self.socket() as two:
            await one.command("read", conversation_id=str(self.conversation.pk))
            told = [await one.next(), await two.next()]

        assert told[0] == told[1]
        assert told[0]["type"] == "read"
        conversation = await Conversation.objects.aget()
        assert conversation.last_read_at > self.conversation.last_read_at

    async def test_it_tells_of_changed_and_deleted_objects(self):
        message = await sync_to_async(say)(self.conversation)
        conversation_id = str(self.conversation.pk)
        async with self.socket() as socket:
            await sync_to_async(doorbell.announce)(self.conversation)
            updated = await socket.next()
            await sync_to_async(lifecycle.delete_message)(self.user, message.pk)
            deleted = await socket.next()
            shortened = await socket.next()
            await sync_to_async(lifecycle.delete)(self.conversation)
            gone = await socket.next()

        assert updated["type"] == "conversation.updated"
        assert updated["conversation"]["id"] == conversation_id
        assert deleted["type"] == "message.deleted"
        assert deleted["message_id"] == str(message.pk)
        assert shortened["type"] == "conversation.updated"
        assert gone == {
            "type": "conversation.deleted",
            "conversation_id": conversation_id,
        }

    async def test_it_survives_what_it_has_nothing_to_say_of(self):
        reply = await sync_to_async(answer)(self.conversation, "", "streaming")
        problems = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: problems.append(context)
        )
        async with self.socket() as socket:
            # Written elsewhere: to stop it, every process is rung.
            await sync_to_async(turns.stop)(self.user, reply.pk)
            doorbell.ring(
                self.user.pk,
                "turn",
                conversation=str(self.conversation.pk),
                message=str(uuid.uuid4()),
                reply=str(uuid.uuid4()),
                after=0,
            )
            assert await socket.hears_nothing()
            await self.assert_usable(socket)

        assert problems == []
