"""What survives when the process that writes a reply does not."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from unittest import mock

from asgiref.sync import sync_to_async
from django.test import TestCase
from django.utils import timezone

from accounts.tests.factories import alice
from conversations import checkpoints, generations
from conversations.checkpoints import Checkpoint, recover
from conversations.models import Generation, Message
from conversations.tests.cases import ReplyTestCase, everything, first, text_of, until
from conversations.tests.factories import answer, make_conversation, say
from database import workers
from database.workers import is_dead, this_worker
from llm.models import DailyUsage, UsageRecord
from llm.testing import scripted

HOST, _PID, BOOT = this_worker().rsplit(":", 2)


def gone_process():
    """Return the id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


class CheckpointTests(ReplyTestCase):
    async def test_it_saves_what_is_written_while_it_is_written(self):
        with (
            mock.patch.object(generations, "CHECKPOINT_SECONDS", 0.01),
            scripted("Once", " upon", gate=asyncio.Event()),
        ):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            run = generations._runs[turn.reply.pk]
            await until(lambda: run.saved_seq == 2)
            reply = await self.stored(turn.reply)

        assert (reply.status, reply.content) == ("streaming", "Once")
        assert reply.generation.lengths == "0,4"
        assert reply.generation.model == "scripted/test"
        assert reply.generation.run_prompt_tokens > 0

    async def test_it_keeps_a_silent_reply_alive(self):
        with (
            mock.patch.object(generations, "CHECKPOINT_SECONDS", 0.01),
            scripted("Once", gate=asyncio.Event()),
        ):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            begun = (await self.stored(turn.reply)).generation.heartbeat_at
            await asyncio.sleep(0.05)
            now = (await self.stored(turn.reply)).generation.heartbeat_at

        assert now > begun

    async def test_it_does_not_touch_a_reply_that_has_ended(self):
        with scripted("Once", " upon"):
            turn = await self.open()
            await everything(turn.reply.pk)
        before = await self.stored(turn.reply)

        # What was read just before the end, and comes to the database after it.
        late = Checkpoint(turn.reply.pk, "Once", "0,4", "m", 40)
        await sync_to_async(checkpoints.save)([late], [turn.reply.pk])

        after = await self.stored(turn.reply)
        assert after.content == before.content
        assert after.generation.lengths == before.generation.lengths == "0,4,5,0"
        assert after.generation.run_prompt_tokens == 0

    async def test_it_stops_saving_when_nothing_is_written(self):
        with (
            mock.patch.object(generations, "CHECKPOINT_SECONDS", 0.005),
            scripted("Once"),
        ):
            turn = await self.open()
            await everything(turn.reply.pk)
            await until(lambda: generations._checkpointer.done())

        assert not generations._runs


class SignalTests(TestCase):
    def setUp(self):
        self.reply = answer(make_conversation(alice()), "", "streaming")

    def save(self):
        return checkpoints.save([], [self.reply.pk])

    def test_it_says_nothing_of_a_reply_that_goes_on(self):
        assert self.save() == checkpoints.Signals(set(), set())

    def test_it_says_what_shall_stop(self):
        Generation.objects.update(stop_requested=True)

        assert self.save().to_stop == {self.reply.pk}

    def test_it_says_what_is_gone_or_another_process_writes_now(self):
        Generation.objects.update(worker=f"{HOST}:1:x")
        assert self.save().gone == {self.reply.pk}

        self.reply.delete()
        assert len(self.save().gone) == 1


class RecoveryTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = alice()
        cls.conversation = make_conversation(cls.user)

    def begun(self, text="Once upon", *, worker=None, silent_for=0, **generation):
        """Return an open reply whose process was heard of so many seconds ago."""
        asked = say(self.conversation, "A story")
        DailyUsage.objects.create(
            user=self.user, date=timezone.now().date(), reserved=2050
        )
        return answer(
            self.conversation,
            text,
            "streaming",
            parent=asked,
            generation={
                "worker": worker or this_worker(),
                "heartbeat_at": timezone.now() - timedelta(seconds=silent_for),
                "lengths": f"0,{len(text)}" if text else "",
                "reserved_units": 2050,
                "run_prompt_tokens": 40,
            }
            | generation,
        )

    def assert_interrupted(self, reply, text="Once upon"):
        with self.assertLogs("tertulia.app", "WARNING"):
            assert recover() == 1
        reply = Message.objects.select_related("generation").get(pk=reply.pk)
        assert (reply.status, reply.content) == ("interrupted", text)
        assert reply.generation.error_code == "interrupted"
        assert reply.can_continue
        return reply

    def assert_left_alone(self, reply):
        assert recover() == 0
        reply.refresh_from_db()
        assert reply.status == "streaming"

    def test_it_interrupts_at_once_what_a_dead_process_wrote(self):
        worker = f"{HOST}:{gone_process()}:{BOOT}"

        self.assert_interrupted(self.begun(worker=worker))

    def test_it_interrupts_what_this_process_wrote_before_it_was_restarted(self):
        # In a container every start has the same number.
        self.assert_interrupted(self.begun(worker=f"{HOST}:{os.getpid()}:before"))

    def test_it_interrupts_what_has_not_been_heard_of(self):
        self.assert_interrupted(self.begun(worker="elsewhere:1:x", silent_for=11))

    def test_it_interrupts_its_own_when_nobody_writes_it(self):
        self.assert_interrupted(self.begun(silent_for=11))

    def test_it_leaves_alone_what_is_written_elsewhere(self):
        self.assert_left_alone(self.begun(worker="elsewhere:1:x", silent_for=5))

    def test_it_leaves_alone_what_another_process_here_writes(self):
        self.assert_left_alone(self.begun(worker=f"{HOST}:{os.getppid()}:x"))

    def test_it_leaves_alone_what_it_writes_itself(self):
        self.assert_left_alone(self.begun(silent_for=5))

    def test_it_charges_for_what_was_saved(self):
        reply = self.assert_interrupted(self.begun(silent_for=11))

        usage = DailyUsage.objects.get()
        assert (usage.used, usage.reserved) == (43, 0)
        assert UsageRecord.objects.get().units == 43
        generation = reply.generation
        assert (generation.prompt_tokens, generation.completion_tokens) == (40, 3)
        assert not generation.is_usage_exact
        assert generation.reserved_units == 0

    def test_it_charges_nothing_where_nothing_was_saved(self):
        reply = self.assert_interrupted(self.begun("", silent_for=11), "")

        usage = DailyUsage.objects.get()
        assert (usage.used, usage.reserved) == (0, 0)
        assert reply.generation.lengths == "0,lost,0"

    def test_it_charges_only_the_run_that_broke_off(self):
        self.assert_interrupted(
            self.begun(
                silent_for=11,
                lengths="0,4,0,0,5",
                prompt_tokens=40,
                completion_tokens=1,
            )
        )

        assert DailyUsage.objects.get().used == 42

    def test_it_leaves_alone_what_is_being_written_here_however_late(self):
        reply = self.begun(silent_for=60)

        assert recover([reply.pk]) == 0

    def test_it_interrupts_once(self):
        self.assert_interrupted(self.begun(silent_for=11))

        assert recover() == 0

    def test_it_does_not_take_what_was_heard_of_meanwhile(self):
        reply = self.begun(silent_for=11)
        seen = Generation.objects.get(pk=reply.pk)
        Generation.objects.update(heartbeat_at=timezone.now())

        assert not checkpoints._interrupt(seen)


class ContinuedTests(ReplyTestCase):
    async def test_it_goes_on_after_a_crash(self):
        reply = await sync_to_async(self.crashed)()
        with scripted(" a", " time"):
            await self.resume(reply)
            events = await everything(reply.pk, after=2)

        assert (await self.stored(reply)).content == "Once upon a time"
        assert text_of(events) == " a time"

    async def test_it_shows_the_whole_to_who_saw_more_than_was_saved(self):
        reply = await sync_to_async(self.crashed)()
        with scripted(" a", " time"):
            await self.resume(reply)
            events = await everything(reply.pk, after=3)

        assert events[0].type == "message.updated"
        whole = events[0].message["content"] + text_of(events)
        assert whole == "Once upon a time"

    def crashed(self):
        say(self.conversation)
        reply = answer(
            self.conversation,
            "Once upon",
            "streaming",
            generation={"worker": f"{HOST}:{gone_process()}:x", "lengths": "0,9"},
        )
        with self.assertLogs("tertulia.app", "WARNING"):
            recover()
        return reply

    async def test_it_stores_the_whole_of_what_was_given_up_too_early(self):
        gate = asyncio.Event()
        with scripted("Once", " upon", gate=gate):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            # Another process thinks this one is dead: the database was away from it.
            await Generation.objects.aupdate(
                heartbeat_at=timezone.now() - timedelta(minutes=1)
            )
            with self.assertLogs("tertulia.app", "WARNING"):
                await sync_to_async(recover)()
            used = (await DailyUsage.objects.aget()).used
            gate.set()
            await everything(turn.reply.pk)

        reply = await self.stored(turn.reply)
        assert (reply.status, reply.content) == ("complete", "Once upon")
        assert (await DailyUsage.objects.aget()).used == used

    async def test_it_lets_a_new_run_be_while_the_old_one_ends(self):
        with scripted("Once", gate=asyncio.Event()):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            old = generations._runs[turn.reply.pk]
            new = mock.Mock()
            generations._runs[turn.reply.pk] = new
            old.end_early(generations.endings.Stopped())
            await old.task

        assert generations._runs.pop(turn.reply.pk) is new


class WorkerTests(TestCase):
    def test_it_knows_who_is_dead(self):
        assert not is_dead(this_worker())
        assert is_dead(f"{HOST}:{os.getpid()}:another")
        assert is_dead(f"{HOST}:{gone_process()}:x")
        assert not is_dead(f"{HOST}:{os.getppid()}:x")
        assert not is_dead(f"not-{HOST}:{gone_process()}:x")

    def test_it_gives_the_benefit_of_the_doubt_to_other_peoples_processes(self):
        with mock.patch.object(workers.os, "kill", side_effect=PermissionError):
            assert not is_dead(f"{HOST}:1:x")
