"""Who is told of a reply hears no more of it than what they may."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from unittest import mock

from asgiref.sync import sync_to_async
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Session, Team, User
from accounts.tests.factories import bearer, sofia
from conversations import access, generations, watch
from conversations.api import streams
from conversations.models import Conversation
from conversations.tests.cases import first, read, sse_events
from conversations.tests.factories import answer, make_character, make_conversation
from conversations.tests.socket_cases import SocketTestCase, token_of
from conversations.tests.test_api_replies import ReplyApiTestCase
from llm.testing import scripted


class WatchedTestCase(ReplyApiTestCase):
    """Looks are frequent, and a reply has begun that does not go on."""

    def setUp(self):
        super().setUp()
        self.enterContext(mock.patch.object(watch, "WATCH_SECONDS", 0.02))
        self.enterContext(mock.patch.object(streams, "BEAT", 0.01))

    @asynccontextmanager
    async def writing(self):
        """Yield a reply of Alice's of which one word is written."""
        gate = asyncio.Event()
        with scripted("Once", " upon", gate=gate):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            yield turn.reply
            assert turn.reply.pk in generations._runs  # whoever heard of it
            gate.set()
            await self.settled(turn.reply)

    async def follow(self, reply, **headers):
        """Return the rest of a stream of which the beginning was read."""
        path = f"/messages/{reply.pk}/stream"
        response = await self.call("GET", path, **headers)
        assert response.status_code == 200
        assert b"Once" in await anext(aiter(response.streaming_content))
        return response

    async def assert_ends(self, response, code):
        *_comments, error, done = sse_events(await read(response))
        told = json.loads(error["data"])
        assert (error["event"], told["type"], told["code"]) == ("error", "error", code)
        assert told["detail"]
        assert done == {"data": "[DONE]"}

    async def assert_goes_on(self, response):
        """Nothing comes but what keeps the connection open."""
        with mock.patch.object(streams, "KEEP_ALIVE", 0.05):
            for _ in range(4):
                part = await anext(aiter(response.streaming_content))
                assert part == b": keep-alive\n\n"


class SessionTests(WatchedTestCase):
    async def revoke(self):
        """End the session that Alice's requests name."""
        await Session.objects.aupdate(revoked_at=timezone.now())

    async def test_an_event_stream_ends_with_its_session(self):
        async with self.writing() as reply:
            response = await self.follow(reply)
            await self.revoke()

            await self.assert_ends(response, "not_authenticated")

    async def test_a_stream_ends_with_its_session_while_words_come(self):
        with scripted(*["word "] * 10_000, delay=0.002):
            turn = await self.open()
            response = await self.call("GET", f"/messages/{turn.reply.pk}/stream")
            await anext(aiter(response.streaming_content))
            await self.revoke()

            *_deltas, error, _done = sse_events(await read(response))
            assert json.loads(error["data"])["code"] == "not_authenticated"
            assert turn.reply.pk in generations._runs
            generations._runs[turn.reply.pk].task.cancel()

    async def test_what_is_sent_and_followed_ends_with_its_session(self):
        with scripted("Once", gate=asyncio.Event()):
            body = {"conversation_id": str(self.conversation.pk), "content": "Hello"}
            response = await self.call("POST", "/chat/stream", body)
            assert b"message.created" in await anext(aiter(response.streaming_content))
            await self.revoke()

            *_events, error, _done = sse_events(await read(response))
            assert json.loads(error["data"])["code"] == "not_authenticated"

    async def test_a_stream_of_plain_text_ends_with_its_session(self):
        await sync_to_async(make_character)("assistant")
        with scripted("Once", gate=asyncio.Event()):
            response = await self.call("POST", "/chat/stream", {"message": "Hello"})
            await self.revoke()

            body = await read(response)
            end = "event: error\ndata: This session is over; sign in again.\n\n"
            assert body.endswith(f"{end}data: [DONE]\n\n")

    async def test_who_waits_for_a_reply_waits_no_longer_than_their_session(self):
        with scripted("Once", gate=asyncio.Event()):
            path = f"{self.path}?wait=true"
            response = await self.call("POST", path, {"content": "Hello"})
            await self.revoke()

            assert json.loads(await read(response))["code"] == "not_authenticated"

    async def test_a_stream_of_another_session_goes_on(self):
        token = await sync_to_async(bearer)(self.user)
        other = {"authorization": f"Bearer {token}"}
        async with self.writing() as reply:
            mine, response = await self.follow(reply), await self.follow(reply, **other)
            newest = await Session.objects.order_by("created_at").alast()
            ended = Session.objects.exclude(pk=newest.pk)
            await ended.aupdate(revoked_at=timezone.now())

            await self.assert_ends(mine, "not_authenticated")
            await self.assert_goes_on(response)

    async def test_a_stream_that_its_client_left_is_watched_over_no_more(self):
        async with self.writing() as reply:
            reading = asyncio.create_task(read(await self.follow(reply)))
            await asyncio.sleep(0.01)
            assert len(watch._listeners) == 1
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

            assert not watch._listeners

    def test_it_asks_once_for_all_sessions_and_nothing_of_own_replies(self):
        for _ in range(5):
            bearer(self.user)
        held = set(Session.objects.values_list("pk", flat=True))

        with self.assertNumQueries(1):
            assert watch._still_allowed(held, set()) == (held, set())

    async def test_no_word_costs_a_query(self):
        async def queries(words):
            captured = CaptureQueriesContext(connection)
            with scripted(*["word "] * words):
                await sync_to_async(captured.__enter__)()
                turn = await self.open(str(words))
                await read(await self.call("GET", f"/messages/{turn.reply.pk}/stream"))
                await self.settled(turn.reply)
                await sync_to_async(captured.__exit__)(None, None, None)
            return len(captured)

        with (
            mock.patch.object(watch, "WATCH_SECONDS", 60),
            mock.patch.object(generations, "CHECKPOINT_SECONDS", 60),
        ):
            await queries(1)  # the first turn of a day has a row to make
            assert await queries(2) == await queries(200)


class SightTestCase(WatchedTestCase, SocketTestCase):
    """Sofía supervises Alice."""

    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.team = Team.objects.create(name="Ours")
        cls.elsewhere = Team.objects.create(name="Theirs")
        User.objects.filter(pk=cls.user.pk).update(team=cls.team)
        cls.sofia = sofia(team=cls.team)
        cls.of_sofia = token_of(cls.sofia)
        cls.as_sofia = {name.decode(): value.decode() for name, value in cls.of_sofia}

    async def move(self, user):
        await User.objects.filter(pk=user.pk).aupdate(team=self.elsewhere)


class SightTests(SightTestCase):
    async def test_a_stream_ends_when_the_worker_leaves_the_team(self):
        async with self.writing() as reply:
            response = await self.follow(reply, **self.as_sofia)
            await self.move(self.user)

            await self.assert_ends(response, "not_found")

    async def test_a_stream_ends_when_the_supervisor_leaves_the_team(self):
        async with self.writing() as reply:
            response = await self.follow(reply, **self.as_sofia)
            await self.move(self.sofia)

            await self.assert_ends(response, "not_found")

    async def test_a_stream_ends_when_the_supervisor_becomes_a_worker(self):
        async with self.writing() as reply:
            response = await self.follow(reply, **self.as_sofia)
            # The column alone: `save` would end the session as well.
            await User.objects.filter(pk=self.sofia.pk).aupdate(role="worker")

            await self.assert_ends(response, "not_found")

    async def test_a_stream_goes_on_for_who_may_read_it(self):
        async with self.writing() as reply:
            response = await self.follow(reply, **self.as_sofia)
            await self.assert_goes_on(response)

    async def test_the_owner_reads_on_in_any_team(self):
        async with self.writing() as reply:
            response = await self.follow(reply)
            await self.move(self.user)

            await self.assert_goes_on(response)

    async def test_a_socket_hears_no_more_of_a_worker_who_left_the_team(self):
        for mover in (self.user, self.sofia):
            async with (
                self.writing() as reply,
                self.connected("/ws/", self.of_sofia) as socket,
            ):
                await socket.command("follow", message_id=str(reply.pk))
                assert (await socket.next())["text"] == "Once"
                await self.move(mover)

                told = await socket.next()
                assert {**told, "detail": ""} == {
                    "type": "error",
                    "code": "not_found",
                    "detail": "",
                    "command": "follow",
                    "message_id": str(reply.pk),
                }
                assert told["detail"]
            await User.objects.aupdate(team=self.team)

    async def test_a_socket_that_lost_sight_of_a_reply_is_told_nothing_of_its_end(self):
        async with self.connected("/ws/", self.of_sofia) as socket:
            async with self.writing() as reply:
                await socket.command("follow", message_id=str(reply.pk))
                await socket.next()
                await self.move(self.user)
                assert (await socket.next())["type"] == "error"

            assert await socket.hears_nothing()
            await socket.command("ping")
            assert await socket.next() == {"type": "pong"}

    async def test_a_socket_loses_the_one_reply_and_keeps_the_others(self):
        of_mine = await self.make_own_reply_of_sofia()
        async with (
            self.writing() as reply,
            self.connected("/ws/", self.of_sofia) as socket,
        ):
            for pk in (reply.pk, of_mine):
                await socket.command("follow", message_id=str(pk))
                await socket.next()
            await self.move(self.user)
            assert (await socket.next())["message_id"] == str(reply.pk)

            (listener,) = watch._listeners
            assert list(listener._followed) == [of_mine]
            assert not listener.of_others

    @sync_to_async
    def make_own_reply_of_sofia(self):
        return answer(make_conversation(self.sofia), "", "streaming").pk

    async def test_a_session_that_ended_says_more_than_a_lost_reply(self):
        async with self.writing() as reply:
            response = await self.follow(reply, **self.as_sofia)
            await self.move(self.sofia)
            await Session.objects.filter(user=self.sofia).aupdate(
                revoked_at=timezone.now()
            )

            await self.assert_ends(response, "not_authenticated")


class StillSeenTests(SightTestCase):
    def test_it_asks_once_for_all_readers_and_once_for_each(self):
        replies = [self._reply() for _ in range(5)]
        readings = {(self.sofia.pk, reply.pk) for reply in replies}

        with self.assertNumQueries(2):
            assert access.still_seen(readings) == readings

    def test_it_keeps_what_may_be_read(self):
        reply = self._reply()
        readings = {(self.sofia.pk, reply.pk), (self.user.pk, reply.pk)}
        assert access.still_seen(readings) == readings

        User.objects.filter(pk=self.user.pk).update(team=None)
        assert access.still_seen(readings) == {(self.user.pk, reply.pk)}

        Conversation.objects.all().delete()
        assert access.still_seen(readings) == set()

    def _reply(self):
        return answer(make_conversation(self.user), "", "streaming")
