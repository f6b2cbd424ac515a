"""What is counted of replies, and of who follows them."""

import asyncio
from unittest import mock

from asgiref.sync import sync_to_async

from config.testing.numbers import grown, numbers
from conversations import checkpoints, endings
from conversations.tests.cases import ReplyTestCase, everything, first, until
from conversations.tests.factories import answer
from conversations.tests.socket_cases import SocketTestCase, cookie_of, token_of
from llm.errors import ProviderError
from llm.testing import scripted

MODEL = 'model="scripted/test"'


def ended(status: str, code: str = "", model: str = MODEL) -> str:
    return f'tertulia_replies_ended_total{{code="{code}",{model},status="{status}"}}'


FIRST_TOKEN = f"tertulia_reply_first_token_seconds_count{{{MODEL}}}"
DURATION = f"tertulia_reply_duration_seconds_count{{{MODEL}}}"


class ReplyTests(ReplyTestCase):
    def setUp(self):
        super().setUp()
        self.before = numbers()

    async def test_a_reply_is_counted_when_it_has_ended(self):
        with scripted("Once", " upon"):
            turn = await self.open()
            await everything(turn.reply.pk)

        counts = grown(self.before)
        assert counts[ended("complete")] == counts[FIRST_TOKEN] == counts[DURATION] == 1

    async def test_one_that_fails_is_counted_with_its_code(self):
        for texts, status in (((), "failed"), (("Once",), "interrupted")):
            with (
                scripted(*texts, fail_with=ProviderError("provider_timeout")),
                self.assertLogs("tertulia.app", "WARNING"),
            ):
                turn = await self.open()
                await everything(turn.reply.pk)

            assert grown(self.before)[ended(status, "provider_timeout")] == 1

    async def test_a_continued_reply_has_one_first_token(self):
        with (
            scripted("Once", fail_with=ProviderError("provider_timeout")),
            self.assertLogs("tertulia.app", "WARNING"),
        ):
            turn = await self.open()
            await everything(turn.reply.pk)
        with scripted(" upon"):
            await self.resume(turn.reply)
            await everything(turn.reply.pk, after=3)

        counts = grown(self.before)
        assert counts[FIRST_TOKEN] == 1
        assert counts[DURATION] == 2

    async def test_it_is_known_what_is_being_written_and_followed(self):
        gate = asyncio.Event()
        with scripted("Once", " upon", gate=gate):
            turn = await self.open()
            follower = asyncio.ensure_future(everything(turn.reply.pk))
            await first(turn.reply.pk, 2)
            found = numbers()
            gate.set()
            await follower
            await self.settled(turn.reply)

        assert found["tertulia_replies_in_progress"] == 1
        assert found["tertulia_relay_followers"] == 1
        assert numbers()["tertulia_replies_in_progress"] == 0
        assert numbers()["tertulia_relay_followers"] == 0

    async def test_one_whose_process_is_gone_is_counted_by_who_finds_it(self):
        lost = {"worker": "elsewhere:1:x", "heartbeat_at": "2020-01-01T00:00:00Z"}
        lost |= {"model": "scripted/test"}
        await sync_to_async(answer)(
            self.conversation, "Once", "streaming", generation=lost
        )

        with self.assertLogs("tertulia.app", "WARNING"):
            await sync_to_async(checkpoints.recover)()

        assert grown(self.before)[ended("interrupted", "interrupted")] == 1

    async def test_a_reply_that_cannot_be_counted_ends_all_the_same(self):
        with (
            mock.patch.object(endings, "_ended", None),
            scripted("Once"),
            self.assertLogs("tertulia.app", "ERROR") as log,
        ):
            turn = await self.open()
            await everything(turn.reply.pk)

        assert (await self.stored(turn.reply)).status == "complete"
        assert "a number was not noted" in log.output[0]


class ConnectionTests(SocketTestCase):
    async def test_open_sockets_are_counted_by_their_kind(self):
        token, cookie = await sync_to_async(
            lambda: (token_of(self.user), cookie_of(self.user))
        )()

        async with (
            self.connected(headers=token),
            self.connected(headers=token),
            self.connected("/ws/pages/", cookie),
        ):
            found = numbers()

        assert found['tertulia_connections_open{kind="json"}'] == 2
        assert found['tertulia_connections_open{kind="pages"}'] == 1
        assert found['tertulia_connections_open{kind="stream"}'] == 0
        await until(lambda: not numbers()['tertulia_connections_open{kind="json"}'])
