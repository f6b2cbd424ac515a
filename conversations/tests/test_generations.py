"""Writing a reply: how it ends, what is stored, what it costs."""

import asyncio
from unittest import mock

from asgiref.sync import sync_to_async
from django.db import OperationalError

from accounts.models import AuditEvent
from conversations import checkpoints, generations, lifecycle, relay, turns
from conversations.models import Conversation, Generation, Message
from conversations.tests.cases import (
    ReplyTestCase,
    everything,
    first,
    text_of,
    types_of,
    until,
)
from conversations.tests.factories import make_adult_character
from llm.errors import SENTENCES, ProviderError
from llm.models import DailyUsage, LanguageModel, UsageRecord
from llm.testing import scripted


class EndTests(ReplyTestCase):
    async def test_it_writes_a_reply(self):
        with scripted("Good", " day", "!") as script:
            turn = await self.open("Hello")
            events = await everything(turn.reply.pk)

        reply = await self.stored(turn.reply)
        assert (reply.status, reply.content) == ("complete", "Good day!")
        assert text_of(events) == "Good day!"
        assert types_of(events)[-1] == "reply.finished"
        assert events[-1].usage == {"prompt": 10, "completion": 3, "exact": True}
        assert len(script.requests) == 1
        assert script.requests[0].messages[-1].content == "Hello"

    async def test_it_notes_how_the_reply_was_made(self):
        with scripted("Good", " day"):
            turn = await self.open()
            await everything(turn.reply.pk)

        generation = (await self.stored(turn.reply)).generation
        assert (generation.model, generation.finish_reason) == ("scripted/test", "stop")
        assert (generation.prompt_tokens, generation.completion_tokens) == (10, 2)
        assert generation.is_usage_exact
        assert generation.lengths == "0,4,4,0"
        assert 0 <= generation.first_token_ms <= generation.duration_ms
        assert generation.manifest["messages"] == {"kept": 1, "dropped": 0}
        assert generation.error_code == ""

    async def test_it_tells_the_conversation(self):
        with scripted("Good", " day"):
            turn = await self.open()
            await everything(turn.reply.pk)

        conversation = await Conversation.objects.aget()
        assert conversation.last_message_preview == "Good day"
        assert conversation.last_message_at > turn.message.created_at
        assert (await Message.objects.aget(pk=turn.message.pk)).status == "read"

    async def test_it_says_when_a_reply_reached_its_longest(self):
        with scripted("Once upon", finish="length"):
            turn = await self.open()
            events = await everything(turn.reply.pk)

        reply = await self.stored(turn.reply)
        assert (reply.status, events[-1].finish_reason) == ("complete", "length")
        assert await sync_to_async(lambda: reply.can_continue)()

    async def test_it_fails_with_the_code_of_the_provider(self):
        for code in SENTENCES:
            with (
                scripted(fail_with=ProviderError(code, "secret words")),
                self.assertLogs("tertulia.app", "WARNING"),
            ):
                turn = await self.open(code)
                events = await everything(turn.reply.pk)

            reply = await self.stored(turn.reply)
            assert (reply.status, reply.content) == ("failed", "")
            assert reply.generation.error_code == code
            assert (events[-1].type, events[-1].code) == ("reply.failed", code)
            assert events[-1].detail == str(SENTENCES[code])
            assert "secret" not in str(events)

    async def test_it_keeps_the_words_when_the_provider_breaks_off(self):
        for code in SENTENCES:
            with (
                scripted("Once", " upon", fail_with=ProviderError(code)),
                self.assertLogs("tertulia.app", "WARNING"),
            ):
                turn = await self.open(code)
                events = await everything(turn.reply.pk)

            reply = await self.stored(turn.reply)
            assert (reply.status, reply.content) == ("interrupted", "Once upon")
            assert reply.generation.error_code == code
            assert (events[-1].type, events[-1].code) == ("reply.interrupted", code)

    async def test_it_does_not_call_complete_what_has_no_finish_reason(self):
        with (
            scripted("Once", " upon", finish=None),
            self.assertLogs("tertulia.app", "WARNING"),
        ):
            turn = await self.open()
            await everything(turn.reply.pk)

        reply = await self.stored(turn.reply)
        assert (reply.status, reply.content) == ("interrupted", "Once upon")

    async def test_it_does_not_call_complete_what_has_no_word(self):
        with scripted():
            turn = await self.open()
            events = await everything(turn.reply.pk)

        assert (await self.stored(turn.reply)).status == "failed"
        assert events[-1].code == "provider_bad_response"

    async def test_it_survives_a_mistake_of_ours(self):
        with (
            mock.patch("conversations.prompts.build", side_effect=KeyError("oops")),
            self.assertLogs("tertulia.app", "ERROR"),
            scripted("Hello"),
        ):
            turn = await self.open()
            events = await everything(turn.reply.pk)

        assert (await self.stored(turn.reply)).status == "failed"
        assert events[-1].code == "server_error"
        assert "oops" not in events[-1].detail

    async def test_it_breaks_off_a_reply_that_is_not_allowed(self):
        with (
            scripted(
                "A quiet evening. " * 6, "A naked", " child " * 20, "went on"
            ) as s,
            self.assertLogs("tertulia.audit", "INFO") as logs,
        ):
            turn = await self.open()
            events = await everything(turn.reply.pk)

        reply = await self.stored(turn.reply)
        assert (reply.status, events[-1].code) == ("failed", "blocked_content")
        assert "child" not in reply.content + text_of(events)
        event = await AuditEvent.objects.aget(action="reply.blocked")
        assert event.object_id == str(reply.pk)
        assert "naked" not in str(logs.output) + str(event.details)
        assert s.finished == 0

    async def test_it_breaks_off_a_short_reply_too(self):
        with scripted("a naked child"):
            turn = await self.open()
            await everything(turn.reply.pk)

        assert (await self.stored(turn.reply)).status == "failed"

    async def test_it_says_when_the_providers_own_rule_stopped_it(self):
        with scripted("Once", finish="content_filter"):
            turn = await self.open()
            events = await everything(turn.reply.pk)

        assert events[-1].code == "blocked_content"

    async def test_it_takes_the_model_of_the_conversation_first(self):
        model = await LanguageModel.objects.acreate(
            label="Mine", provider="ollama", name="tiny", max_output_tokens=7
        )
        self.conversation.model = model
        await self.conversation.asave()
        with scripted("Hi") as script:
            turn = await self.open()
            await everything(turn.reply.pk)

        assert script.requests[0].model == "tiny"
        assert script.requests[0].max_output_tokens == 7
        assert (await self.stored(turn.reply)).generation.model == "ollama/tiny"


class StopTests(ReplyTestCase):
    async def test_it_keeps_the_words_and_closes_the_provider(self):
        with scripted("Once", " upon", gate=asyncio.Event()) as script:
            turn = await self.open()
            await first(turn.reply.pk, 2)
            await sync_to_async(turns.stop)(self.user, turn.reply.pk)
            events = await everything(turn.reply.pk)

        reply = await self.stored(turn.reply)
        assert (reply.status, reply.content) == ("stopped", "Once")
        assert (events[-1].type, events[-1].code) == ("reply.stopped", "stopped")
        assert (script.closed, script.finished) == (1, 0)
        assert reply.generation.error_code == ""

    async def test_it_stops_before_the_first_word(self):
        with scripted(gate=asyncio.Event()) as script:
            turn = await self.open()
            await until(lambda: script.requests)
            await sync_to_async(turns.stop)(self.user, turn.reply.pk)
            await everything(turn.reply.pk)

        reply = await self.stored(turn.reply)
        assert (reply.status, reply.content) == ("stopped", "")

    async def test_it_stops_before_it_began(self):
        with scripted("Once") as script:
            turn = await sync_to_async(turns.open)(
                self.user, self.conversation.pk, "Hello"
            )
            generations.start(turn)
            generations._runs[turn.reply.pk].end_early(generations.endings.Stopped())
            await everything(turn.reply.pk)

        assert (await self.stored(turn.reply)).status == "stopped"
        assert script.requests == []

    async def test_it_stops_for_another_process(self):
        with (
            mock.patch.object(generations, "CHECKPOINT_SECONDS", 0.01),
            scripted("Once", gate=asyncio.Event()) as script,
        ):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            await Generation.objects.aupdate(stop_requested=True)
            await everything(turn.reply.pk)

        assert (await self.stored(turn.reply)).status == "stopped"
        assert script.closed == 1

    async def test_it_stops_twice_as_once(self):
        with scripted("Once", gate=asyncio.Event()):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            for _ in range(2):
                await sync_to_async(turns.stop)(self.user, turn.reply.pk)
            await everything(turn.reply.pk)

        assert (await self.stored(turn.reply)).status == "stopped"

    async def test_it_ends_for_a_conversation_that_was_deleted(self):
        with (
            mock.patch.object(generations, "CHECKPOINT_SECONDS", 0.01),
            scripted("Once", gate=asyncio.Event()) as script,
        ):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            follower = asyncio.create_task(everything(turn.reply.pk))
            await sync_to_async(lifecycle.delete)(self.conversation)
            events = await follower

        assert "reply.finished" not in types_of(events)
        assert script.closed == 1
        assert not await Message.objects.aexists()
        assert not await Generation.objects.aexists()
        assert (await DailyUsage.objects.aget()).reserved == 0
        assert turn.reply.pk not in relay.live

    async def test_it_lets_replies_finish_when_the_server_ends(self):
        with scripted("Once", " upon", delay=0.02):
            turn = await self.open()
            with mock.patch.object(generations, "_is_draining", False):
                await generations.drain(5)

        assert (await self.settled(turn.reply)).status == "complete"

    async def test_it_interrupts_what_takes_too_long_when_the_server_ends(self):
        with scripted("Once", " upon", gate=asyncio.Event()) as script:
            turn = await self.open()
            await first(turn.reply.pk, 2)
            with mock.patch.object(generations, "_is_draining", False):
                await generations.drain(0.05)

        reply = await self.settled(turn.reply)
        assert (reply.status, reply.content) == ("interrupted", "Once")
        assert reply.generation.error_code == "interrupted"
        assert script.closed == 1


class OutageTests(ReplyTestCase):
    def broken(self, times):
        settle = checkpoints.settle
        outcomes = iter([OperationalError("away")] * times)

        def break_or_settle(done):
            for error in outcomes:
                raise error
            return settle(done)

        return mock.patch.object(checkpoints, "settle", break_or_settle)

    async def test_it_waits_for_the_database_to_come_back(self):
        with (
            self.broken(2),
            mock.patch.object(generations, "_database_failed_at", float("-inf")),
            self.assertLogs("tertulia.app", "ERROR") as logs,
            scripted("Good", " day"),
        ):
            turn = await self.open()
            events = await everything(turn.reply.pk)

        reply = await self.stored(turn.reply)
        assert (reply.status, reply.content) == ("complete", "Good day")
        assert types_of(events).count("reply.finished") == 1
        assert await UsageRecord.objects.acount() == 1
        assert len(logs.output) == 1

    async def test_it_goes_on_writing_while_nothing_can_be_saved(self):
        gate = asyncio.Event()
        with (
            mock.patch.object(checkpoints, "save", side_effect=OperationalError),
            mock.patch.object(generations, "CHECKPOINT_SECONDS", 0.005),
            mock.patch.object(generations, "_database_failed_at", float("-inf")),
            self.assertLogs("tertulia.app", "ERROR"),
            scripted("Good", " day", gate=gate),
        ):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            await asyncio.sleep(0.05)
            gate.set()
            await everything(turn.reply.pk)

        assert (await self.stored(turn.reply)).content == "Good day"


class GreetingTests(ReplyTestCase):
    async def test_it_writes_in_the_voice_of_the_character(self):
        character = await sync_to_async(make_adult_character)(
            explicit_level=3, greeting="Come in."
        )
        self.user.profile.birthdate = self.user.created_at.date().replace(year=1990)
        self.conversation = await sync_to_async(lifecycle.begin)(self.user, character)
        with self.settings(EXPLICIT_CAP=1), scripted("Hi") as script:
            turn = await self.open("Hello")
            await everything(turn.reply.pk)

        system, greeting, asked = script.requests[0].messages
        assert "You are Luna." in system.content
        assert "Alice" in system.content
        assert (greeting.role, greeting.content) == ("assistant", "Come in.")
        assert asked.content == "Hello"
        manifest = (await self.stored(turn.reply)).generation.manifest
        assert manifest["explicit_level"] == 1
