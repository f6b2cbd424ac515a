"""What a reply costs, and what it costs to continue one."""

import asyncio

from asgiref.sync import sync_to_async

from conversations import turns
from conversations.models import Message
from conversations.tests.cases import (
    ReplyTestCase,
    everything,
    first,
    text_of,
    types_of,
)
from conversations.tests.factories import answer, say
from llm.errors import ProviderError
from llm.models import DailyUsage, UsageRecord
from llm.testing import scripted
from llm.types import Usage


class ContinueTests(ReplyTestCase):
    async def interrupted(self, *texts):
        with (
            scripted(*texts, fail_with=ProviderError("provider_timeout")),
            self.assertLogs("tertulia.app", "WARNING"),
        ):
            turn = await self.open()
            await everything(turn.reply.pk)
        return turn.reply

    async def test_it_adds_to_the_same_reply(self):
        reply = await self.interrupted("Once", " upon")
        with scripted(" a", " time") as script:
            await self.resume(reply)
            events = await everything(reply.pk, after=4)

        stored = await self.stored(reply)
        assert (stored.status, stored.content) == ("complete", "Once upon a time")
        assert stored.generation.error_code == ""
        assert text_of(events) == " a time"
        assert [event.seq for event in events] == [5, 6, 7, 8]
        assert types_of(events)[0] == "reply.started"
        assert stored.generation.lengths == "0,4,5,0,0,2,5,0"
        assert [m.role for m in script.requests[0].messages] == [
            "system",
            "user",
            "assistant",
            "user",
        ]
        assert await Message.objects.acount() == 2

    async def test_it_begins_anew_where_there_was_no_word(self):
        say_, reply = await sync_to_async(self._wordless)()
        with scripted("Once") as script:
            await self.resume(reply)
            await everything(reply.pk)

        assert (await self.stored(reply)).content == "Once"
        assert script.requests[0].messages[-1].content == say_.content

    def _wordless(self):
        return say(self.conversation, "A story"), answer(
            self.conversation, "", "interrupted", generation={"lengths": "0,0"}
        )

    async def test_it_keeps_all_words_when_it_breaks_off_again(self):
        reply = await self.interrupted("Once", " upon")
        with (
            scripted(fail_with=ProviderError("provider_busy")),
            self.assertLogs("tertulia.app", "WARNING"),
        ):
            await self.resume(reply)
            await everything(reply.pk)

        stored = await self.stored(reply)
        assert (stored.status, stored.content) == ("interrupted", "Once upon")
        assert stored.generation.error_code == "provider_busy"

    async def test_it_adds_up_what_both_runs_cost(self):
        reply = await self.interrupted("Once", " upon")
        before = (await self.stored(reply)).generation
        with scripted(" a", " time"):
            await self.resume(reply)
            await everything(reply.pk)

        after = (await self.stored(reply)).generation
        assert after.prompt_tokens == before.prompt_tokens + 10
        assert after.completion_tokens == before.completion_tokens + 2
        assert not after.is_usage_exact


class CostTests(ReplyTestCase):
    """Units charged are units recorded, and nothing stays reserved."""

    async def assert_adds_up(self, *replies):
        found = [(await self.stored(reply)).generation for reply in replies]
        units = sum(g.prompt_tokens + g.completion_tokens for g in found)
        usage = await DailyUsage.objects.aget()
        recorded = [record.units async for record in UsageRecord.objects.all()]
        assert usage.used == units == sum(recorded)
        assert usage.reserved == 0
        assert all(generation.reserved_units == 0 for generation in found)
        return units

    async def test_it_charges_what_the_provider_counted(self):
        replies = []
        for number in range(3):
            with scripted("Hi", usage=Usage(20, number, exact=True)):
                turn = await self.open(str(number))
                await everything(turn.reply.pk)
            replies.append(turn.reply)

        assert await self.assert_adds_up(*replies) == 63

    async def test_it_charges_an_estimate_where_nobody_counted(self):
        with (
            scripted("Once upon", fail_with=ProviderError("provider_timeout")),
            self.assertLogs("tertulia.app", "WARNING"),
        ):
            turn = await self.open()
            await everything(turn.reply.pk)

        generation = (await self.stored(turn.reply)).generation
        assert generation.completion_tokens == 3
        assert not generation.is_usage_exact
        assert await self.assert_adds_up(turn.reply) > 3

    async def test_it_charges_nothing_where_nothing_was_written(self):
        with (
            scripted(fail_with=ProviderError("provider_busy")),
            self.assertLogs("tertulia.app", "WARNING"),
        ):
            turn = await self.open()
            await everything(turn.reply.pk)

        assert await self.assert_adds_up(turn.reply) == 0
        assert not await UsageRecord.objects.aexists()

    async def test_it_charges_what_was_stopped(self):
        with scripted("Once", " upon", gate=asyncio.Event()):
            turn = await self.open()
            await first(turn.reply.pk, 2)
            await sync_to_async(turns.stop)(self.user, turn.reply.pk)
            await everything(turn.reply.pk)

        assert await self.assert_adds_up(turn.reply) > 0

    async def test_it_passes_the_limit_by_one_reply_at_most(self):
        self.user.daily_units = 50
        with scripted("Hi", usage=Usage(40, 30, exact=True)):
            turn = await self.open("Hi")
            assert (await DailyUsage.objects.aget()).reserved == 50
            await everything(turn.reply.pk)
            with self.assertRaises(turns.errors.QuotaExceeded):
                await self.open("Again")

        assert await self.assert_adds_up(turn.reply) == 70

    async def test_it_asks_for_no_more_than_is_left(self):
        self.user.daily_units = 50
        with scripted("Hi") as script:
            turn = await self.open("Hi")
            await everything(turn.reply.pk)

        assert script.requests[0].max_output_tokens == 50
