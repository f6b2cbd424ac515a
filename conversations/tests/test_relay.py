"""Following: from any number, live or ended, nothing is missed and nothing repeated."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from unittest import mock

from asgiref.sync import sync_to_async
from django.db import OperationalError

from conversations import broker, checkpoints, generations, lifecycle, relay, turns
from conversations.models import Generation, Message
from conversations.tests.cases import (
    ReplyTestCase,
    everything,
    first,
    text_of,
    types_of,
    until,
)
from conversations.tests.factories import answer, say
from llm import catalog
from llm.testing import scripted
from llm.types import ChatRequest, Chunk

TEXTS = ("Once", " upon", " a", " time")


class Buffered:
    """A model that sends a letter each millisecond, whoever reads or not."""

    name = "buffered"
    is_buffered = True

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        begun, rest = time.monotonic(), "abcdefghijklmnopqrstuvwxyz"
        while rest:
            await asyncio.sleep(0.001)
            due = int((time.monotonic() - begun) * 1000) - (26 - len(rest))
            if due > 0:
                yield Chunk(rest[:due])
                rest = rest[due:]
        yield Chunk(finish_reason="stop")


class LiveTests(ReplyTestCase):
    async def test_it_tells_every_event_to_who_was_there_from_the_start(self):
        with scripted(*TEXTS, delay=0.005):
            turn = await self.open()
            events = await everything(turn.reply.pk)

        assert types_of(events) == [
            "reply.started",
            *["reply.delta"] * 4,
            "reply.finished",
        ]
        assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]
        assert {event.message_id for event in events} == {turn.reply.pk}
        assert {event.conversation_id for event in events} == {self.conversation.pk}
        assert events[0].parent_id == turn.message.pk

    async def test_it_tells_the_first_word_before_there_is_a_second(self):
        with scripted(*TEXTS, gate=asyncio.Event()):
            turn = await self.open()
            events = await first(turn.reply.pk, 2)

        assert text_of(events) == "Once"

    async def test_it_tells_a_latecomer_everything_at_once_and_then_live(self):
        gate = asyncio.Event()
        with scripted(*TEXTS, gate=gate):
            turn = await self.open()
            live = relay.live[turn.reply.pk]
            await until(lambda: live.seq == 2)
            live.write(" (more)")
            late = asyncio.create_task(everything(turn.reply.pk))
            await asyncio.sleep(0.01)
            gate.set()
            events = await late

        assert types_of(events)[0] == "reply.delta"
        assert (events[0].text, events[0].seq) == ("Once (more)", 3)
        assert [event.seq for event in events[1:]] == [4, 5, 6, 7]
        assert text_of(events) == "Once (more) upon a time"

    async def test_it_goes_on_after_any_event_of_a_live_reply(self):
        gate = asyncio.Event()
        with scripted("Once", " upon", " a", gate=gate):
            turn = await self.open()
            live = relay.live[turn.reply.pk]
            await until(lambda: live.seq == 2)
            live.write(" and")
            followers = [
                asyncio.create_task(everything(turn.reply.pk, after))
                for after in range(4)
            ]
            await asyncio.sleep(0.01)
            gate.set()
            heard = [text_of(await follower) for follower in followers]

        assert heard == [
            "Once and upon a",
            "Once and upon a",
            " and upon a",
            " upon a",
        ]

    async def test_it_tells_two_followers_the_same(self):
        with scripted(*TEXTS, delay=0.002):
            turn = await self.open()
            one, two = await asyncio.gather(
                everything(turn.reply.pk), everything(turn.reply.pk)
            )

        assert one == two

    async def test_it_goes_on_without_a_follower_who_left(self):
        gate = asyncio.Event()
        with scripted(*TEXTS, gate=gate):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            live = relay.live[turn.reply.pk]
            assert not live._waiters
            gate.set()
            reply = await self.settled(turn.reply)

        assert reply.content == "Once upon a time"

    async def test_it_joins_what_comes_while_many_replies_are_written(self):
        others = [mock.Mock() for _ in range(60)]
        with (
            mock.patch.dict(relay.live, {id(other): other for other in others}),
            mock.patch.object(catalog, "stand_in", Buffered()),
        ):
            turn = await self.open()
            events = await everything(turn.reply.pk)

        assert text_of(events) == "abcdefghijklmnopqrstuvwxyz"
        assert len(events) < 20
        assert [event.seq for event in events] == list(range(1, len(events) + 1))

    async def test_one_timer_ends_the_pauses_of_all_replies(self):
        loop = asyncio.get_running_loop()
        with mock.patch.object(loop, "call_later", wraps=loop.call_later) as timers:
            pauses = [asyncio.create_task(relay.pause()) for _ in range(20)]
            await asyncio.sleep(0)
            pauses[0].cancel()  # Stop ends one of them
            ended = await asyncio.gather(*pauses, return_exceptions=True)

        assert isinstance(ended[0], asyncio.CancelledError)
        assert ended[1:] == [None] * 19
        assert sum(call.args[1] is relay._go_on for call in timers.mock_calls) == 1

    async def test_it_gives_all_there_is_to_who_saw_more_than_there_is(self):
        gate = asyncio.Event()
        with scripted("Once", " upon", gate=gate):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            follower = asyncio.create_task(everything(turn.reply.pk, after=40))
            await asyncio.sleep(0.01)
            gate.set()
            events = await follower

        assert types_of(events) == ["message.updated", "reply.delta", "reply.finished"]
        # Not what the last checkpoint saved: nothing may be missing in between.
        assert events[0].message["content"] + text_of(events) == "Once upon"

    async def test_it_ends_at_once_where_there_is_no_reply(self):
        message = await sync_to_async(say)(self.conversation)

        assert await everything(self.conversation.pk) == []
        assert await everything(message.pk) == []

    async def test_it_looks_into_the_database_when_a_reply_is_taken_away(self):
        with scripted("Once", gate=asyncio.Event()):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            follower = asyncio.create_task(everything(turn.reply.pk, after=2))
            await asyncio.sleep(0.01)
            # Another process took it over, and it was stopped there.
            await Generation.objects.aupdate(worker="else:1:x", lengths="0,4,3,0")
            await Message.objects.filter(pk=turn.reply.pk).aupdate(
                content="Once and", status="stopped"
            )
            await sync_to_async(turns.stop)(self.user, turn.reply.pk)
            generations._runs[turn.reply.pk].end_early(generations.endings.Stopped())
            events = await follower

        assert types_of(events)[-1] == "reply.stopped"
        assert (await self.stored(turn.reply)).content == "Once and"


class StoredTests(ReplyTestCase):
    def ended(self, status="complete", lengths="0,4,5,0", **generation):
        return answer(
            self.conversation,
            "Once upon",
            status,
            generation={"lengths": lengths} | generation,
        )

    async def test_it_goes_on_after_any_event_of_an_ended_reply(self):
        reply = await sync_to_async(self.ended)()

        for after, text in enumerate(["Once upon", "Once upon", " upon", "", ""]):
            events = await everything(reply.pk, after)
            assert text_of(events) == text, after
            assert types_of(events)[-1] == "reply.finished"
            assert len(events) == 1 + bool(text)
            assert (events[-1].seq, events[0].seq) == (4, 3 if text else 4)

    async def test_it_says_how_each_ended(self):
        for status, code in (
            ("stopped", ""),
            ("interrupted", "provider_timeout"),
            ("failed", "provider_busy"),
        ):
            reply = await sync_to_async(self.ended)(status, error_code=code)
            last = (await everything(reply.pk))[-1]
            assert last.type == f"reply.{status}"
            assert last.code == (code or "stopped")
            assert last.detail

    async def test_it_gives_all_there_is_to_who_saw_what_a_crash_lost(self):
        reply = await sync_to_async(self.ended)("interrupted")

        events = await everything(reply.pk, after=9)

        assert types_of(events) == ["message.updated", "reply.interrupted"]
        assert events[0].message["content"] == "Once upon"

    async def test_it_says_the_same_live_and_stored(self):
        with scripted(*TEXTS):
            turn = await self.open()
            live = await everything(turn.reply.pk)
        stored = await everything(turn.reply.pk)

        assert stored[-1] == live[-1]
        assert text_of(stored) == text_of(live)

    async def test_it_follows_a_reply_that_was_continued(self):
        reply = await sync_to_async(self.ended)("interrupted")
        with scripted(" a", " time"):
            await self.resume(reply)
            live = await everything(reply.pk, after=4)
        text = "Once upon a time"

        assert [event.seq for event in live] == [5, 6, 7, 8]
        for after, rest in enumerate([text, text, text[4:], *[" a time"] * 3, " time"]):
            assert text_of(await everything(reply.pk, after)) == rest, after

    async def test_it_tells_who_follows_from_the_start_of_the_second_run(self):
        reply = await sync_to_async(self.ended)("interrupted")
        with scripted(" a", gate=asyncio.Event()):
            await self.resume(reply)
            events = await first(reply.pk, 1)

        assert (events[0].text, events[0].seq) == ("Once upon", 5)


class ElsewhereTests(ReplyTestCase):
    """A reply that another process writes; this one sees what it saves."""

    def setUp(self):
        patch = mock.patch.object(relay, "POLL_SECONDS", 0.005)
        patch.start()
        self.addCleanup(patch.stop)

    async def begin(self):
        turn = await sync_to_async(turns.open)(self.user, self.conversation.pk, "Hello")
        return turn.reply

    @sync_to_async
    def save(self, reply, text, lengths, status="streaming"):
        # In one piece, as the writing process does it in one transaction.
        Message.objects.filter(pk=reply.pk).update(content=text, status=status)
        Generation.objects.filter(pk=reply.pk).update(lengths=lengths)

    async def test_it_tells_what_was_saved_as_it_is_saved(self):
        reply, events = await self.begin(), []
        async with asyncio.timeout(10), aclosing(relay.follow(reply.pk)) as steps:
            events.append(await anext(steps))
            await self.save(reply, "Once", "0,4")
            events.append(await anext(steps))
            await self.save(reply, "Once upon a", "0,4,5,2")
            events.append(await anext(steps))
            await self.save(reply, "Once upon a time", "0,4,5,2,5,0", "complete")
            events += [event async for event in steps]

        assert types_of(events) == [
            "reply.started",
            *["reply.delta"] * 3,
            "reply.finished",
        ]
        assert [event.seq for event in events] == [1, 2, 4, 5, 6]
        assert text_of(events) == "Once upon a time"

    async def test_it_waits_with_who_saw_more_than_was_saved(self):
        reply = await self.begin()
        await self.save(reply, "Once", "0,4")
        follower = asyncio.create_task(everything(reply.pk, after=3))
        await asyncio.sleep(0.03)
        await self.save(reply, "Once upon a", "0,4,5,2,0", "complete")

        assert text_of(await follower) == " a"

    async def test_it_goes_live_when_the_reply_comes_here(self):
        reply = await self.begin()
        await self.save(reply, "Once", "0,4")
        follower = asyncio.create_task(everything(reply.pk))
        await asyncio.sleep(0.02)
        await self.save(reply, "Once", "0,4,0", "interrupted")
        with scripted(" upon"):
            await self.resume(reply)
            events = await follower

        assert text_of(events).startswith("Once")
        assert types_of(events)[-1] in ("reply.interrupted", "reply.finished")

    async def test_it_ends_when_the_reply_is_deleted(self):
        reply = await self.begin()
        follower = asyncio.create_task(everything(reply.pk))
        await asyncio.sleep(0.02)
        await sync_to_async(lifecycle.delete)(self.conversation)

        assert types_of(await follower) == ["reply.started"]

    async def test_it_hears_entries_of_the_other_process(self):
        reply = await self.begin()
        entries = broker.Entries()
        for entry in (
            (2, ["Once"], False),
            (2, ["Once"], False),  # twice is harmless
            (3, [" upon"], False),
        ):
            entries.put(entry)
        with (
            mock.patch.object(relay, "POLL_SECONDS", 5),
            mock.patch.object(broker, "subscription") as subscription,
        ):
            subscription.return_value.__enter__.return_value = entries
            events = await first(reply.pk, 3)

        assert [event.seq for event in events] == [1, 2, 3]
        assert text_of(events) == "Once upon"

    async def test_it_fills_a_gap_from_the_database(self):
        reply = await self.begin()
        await self.save(reply, "Once upon", "0,4,5")
        entries = broker.Entries()
        entries.put((5, [" time"], False))
        with mock.patch.object(broker, "subscription") as subscription:
            subscription.return_value.__enter__.return_value = entries
            follower = asyncio.create_task(everything(reply.pk))
            await asyncio.sleep(0.02)
            await self.save(reply, "Once upon a time", "0,4,5,2,5,0", "complete")
            events = await follower

        assert text_of(events) == "Once upon a time"

    async def test_it_needs_no_memory_for_a_number_out_of_this_world(self):
        reply = await self.begin()
        entries = broker.Entries()
        entries.put((2, ["Once"], False))
        with mock.patch.object(broker, "subscription") as subscription:
            subscription.return_value.__enter__.return_value = entries
            follower = asyncio.create_task(everything(reply.pk, after=10**15))
            await asyncio.sleep(0.02)
            await self.save(reply, "Once", "0,4,0", "complete")

        assert types_of(await follower) == ["message.updated", "reply.finished"]


class OutageTests(ReplyTestCase):
    async def test_it_waits_for_the_database_with_who_follows(self):
        reply = await sync_to_async(answer)(self.conversation, "Once")
        find = relay.in_database
        outcomes = iter([OperationalError("away")] * 2)

        async def fail_or_find(*args):
            for error in outcomes:
                raise error
            return await find(*args)

        with (
            mock.patch.object(relay, "POLL_SECONDS", 0.005),
            mock.patch.object(relay, "in_database", fail_or_find),
        ):
            assert text_of(await everything(reply.pk)) == "Once"

    async def test_it_tells_a_live_reply_without_the_database(self):
        with (
            mock.patch.object(relay, "_stored", side_effect=OperationalError),
            mock.patch.object(checkpoints, "save", side_effect=OperationalError),
            scripted(*TEXTS, delay=0.002),
        ):
            turn = await self.open()
            events = await everything(turn.reply.pk)

        assert text_of(events) == "Once upon a time"
