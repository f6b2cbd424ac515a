"""`/ws/pages/`: commands in JSON, fragments of HTML back."""

import asyncio
import re
import uuid
from unittest import mock

from asgiref.sync import sync_to_async
from django.utils import translation

from accounts.tests.factories import charlie
from conversations import consumers, generations, lifecycle
from conversations.models import Message
from conversations.tests.cases import PATIENCE, until
from conversations.tests.factories import (
    answer,
    make_adult_character,
    make_conversation,
    say,
)
from conversations.tests.socket_cases import SocketTestCase, cookie_of
from llm.testing import scripted

TEXTS = ("Once", " upon", " a", " time")


class PagesSocketTests(SocketTestCase):
    def setUp(self):
        super().setUp()
        self.headers = cookie_of(self.user)
        patch = mock.patch.object(consumers, "PAGE_DELTAS_PER_SECOND", 1000)
        patch.start()
        self.addCleanup(patch.stop)

    def socket(self, headers=None):
        return self.connected("/ws/pages/", headers or self.headers)

    async def watching(self, socket, conversation=None):
        """Watch a conversation; return what is shown."""
        pk = (conversation or self.conversation).pk
        await socket.command("watch", conversation_id=str(pk))
        return await socket.receive_from(PATIENCE)

    async def until(self, socket, pattern):
        """Return all fragments up to one that matches."""
        shown = ""
        while not re.search(pattern, shown):
            shown += await socket.receive_from(PATIENCE)
        return shown

    async def send(self, socket, content="Hello", **fields):
        await socket.command(
            "message.send",
            **{"conversation_id": str(self.conversation.pk), "content": content}
            | fields,
        )

    async def test_it_shows_the_conversation_that_is_watched(self):
        asked, said = await sync_to_async(
            lambda: (say(self.conversation, "<b>Hi</b>"), answer(self.conversation))
        )()
        async with self.socket() as socket:
            html = await self.watching(socket)

        assert html.startswith('<hx-partial hx-target="#messages" hx-swap="innerHTML">')
        assert html.index(f'id="message-{asked.pk}"') < html.index(
            f'id="message-{said.pk}"'
        )
        assert "&lt;b&gt;Hi&lt;/b&gt;" in html

    async def test_it_shows_a_turn_as_it_is_written(self):
        with scripted(*TEXTS, delay=0.005):
            async with self.socket() as socket:
                await self.watching(socket)
                await self.send(socket, client_id="one")
                created = await socket.receive_from(PATIENCE)
                reply = await Message.objects.aget(role="assistant")
                shown = await self.until(socket, 'data-status="complete"')

        assert 'hx-target="#messages" hx-swap="beforeend"' in created
        assert "Hello" in created
        assert 'data-client-id="one"' in created
        assert f'id="message-{reply.pk}"' in created
        assert f'hx-target="#message-{reply.pk}-open" hx-swap="innerHTML"' in shown
        assert f'hx-target="#message-{reply.pk}" hx-swap="outerHTML"' in shown
        assert "Once upon a time" in shown
        assert f'hx-target="#conversation-{self.conversation.pk}"' in shown

    async def test_it_makes_no_markup_of_what_a_model_says(self):
        hostile = "</hx-partial><script>alert(1)</script><img src=x onerror=y>"
        with scripted(hostile, "\n\n", hostile, delay=0.005):
            async with self.socket() as socket:
                await self.watching(socket)
                await self.send(socket)
                shown = await self.until(socket, 'data-status="complete"')

        assert "<script" not in shown
        assert "<img src=x" not in shown
        assert shown.count("<hx-partial") == shown.count("</hx-partial>")

    async def test_it_shows_a_reply_that_is_being_written(self):
        gate = asyncio.Event()
        with scripted(*TEXTS, gate=gate):
            turn = await self.open()
            await until(lambda: generations._runs[turn.reply.pk].live.seq == 2)
            async with self.socket() as socket:
                html = await self.watching(socket)
                grown = await socket.receive_from(PATIENCE)
                gate.set()
                await self.until(socket, 'data-status="complete"')

        assert 'data-status="streaming"' in html
        assert "Once" in grown

    async def test_it_shows_everything_again_after_a_reconnect(self):
        gate = asyncio.Event()
        with scripted("One\n\n", "Two", gate=gate):
            async with self.socket() as socket:
                await self.watching(socket)
                await self.send(socket)
                await self.until(socket, "One")
                await self.watching(socket)
                grown = await self.until(socket, "-done.*One")
                gate.set()
                await self.until(socket, 'data-status="complete"')

        assert grown.count("<p>One</p>") == 1

    async def test_it_shows_a_second_tab_the_turn(self):
        with scripted(*TEXTS):
            async with self.socket() as one, self.socket() as two:
                await self.watching(one)
                await self.watching(two)
                await self.send(one)
                shown = await self.until(two, 'data-status="complete"')

        assert "Hello" in shown
        assert "Once upon a time" in shown

    async def test_it_shows_the_list_what_happens_in_another_conversation(self):
        other = await sync_to_async(make_conversation)(self.user)
        with scripted(*TEXTS):
            async with self.socket() as socket:
                await self.watching(socket, other)
                await self.open()
                shown = await socket.receive_from(PATIENCE)

        assert f'hx-target="#conversation-{self.conversation.pk}"' in shown
        assert "#messages" not in shown

    async def test_it_takes_what_is_deleted_off_the_list(self):
        other = await sync_to_async(make_conversation)(self.user)
        pk = other.pk
        async with self.socket() as socket:
            await self.watching(socket)
            await sync_to_async(lifecycle.delete)(other)
            html = await socket.receive_from(PATIENCE)

        target = f'hx-target="#conversation-{pk}" hx-swap="delete"'
        assert target in html
        assert "composer" not in html

    async def test_it_says_that_what_it_shows_is_gone(self):
        pk = self.conversation.pk
        async with self.socket() as socket:
            await self.watching(socket)
            await sync_to_async(lifecycle.delete)(self.conversation)
            html = await socket.receive_from(PATIENCE)
            await self.send(socket, conversation_id=str(pk))
            refused = await socket.receive_from(PATIENCE)

        assert f'hx-target="#conversation-{pk}" hx-swap="delete"' in html
        assert 'hx-target="#composer-inner"' in html
        assert "not here any more" in html
        assert "not_found" in refused

    async def test_it_shows_no_message_that_is_deleted(self):
        asked, said = await sync_to_async(
            lambda: (say(self.conversation, "First"), answer(self.conversation, "So"))
        )()
        async with self.socket() as socket:
            await self.watching(socket)
            await sync_to_async(lifecycle.delete_message)(self.user, said.pk)
            html = await self.until(socket, 'hx-target="#messages"')

        assert f"message-{asked.pk}" in html
        assert f"message-{said.pk}" not in html

    async def test_it_puts_what_is_new_on_top_of_the_list(self):
        async with self.socket() as socket:
            await self.watching(socket)
            new = await sync_to_async(make_conversation)(self.user)
            await sync_to_async(lifecycle.change)(new, title="New here")
            html = await socket.receive_from(PATIENCE)

        line = f"#conversation-{new.pk}"
        assert f'hx-target="body:not(:has({line})) #recent"' in html
        assert 'hx-swap="afterbegin"' in html
        assert "New here" in html

    async def test_it_shows_all_again_when_a_reply_is_continued(self):
        _asked, reply = await sync_to_async(
            lambda: (
                say(self.conversation),
                answer(self.conversation, "Once", "interrupted"),
            )
        )()
        with scripted(" upon"):
            async with self.socket() as socket:
                await self.watching(socket)
                await self.resume(reply)
                shown = await self.until(socket, 'data-status="complete"')

        assert 'hx-target="#messages" hx-swap="innerHTML"' in shown
        assert "Once upon" in shown

    async def test_it_stops(self):
        with scripted("Once", " upon", gate=asyncio.Event()) as script:
            async with self.socket() as socket:
                await self.watching(socket)
                await self.send(socket)
                await self.until(socket, "Once")
                reply = await Message.objects.aget(role="assistant")
                await socket.command("message.stop", message_id=str(reply.pk))
                await self.until(socket, 'data-status="stopped"')

        assert script.closed == 1

    async def test_it_says_beside_the_composer_what_is_refused(self):
        adult = await sync_to_async(
            lambda: make_conversation(self.user, make_adult_character())
        )()
        async with self.socket() as socket:
            await self.send(
                socket, client_id='"><script>', conversation_id=str(adult.pk)
            )
            html = await socket.receive_from(PATIENCE)

        assert 'hx-target="#composer-error"' in html
        assert 'data-code="age_restricted"' in html
        assert "<script>" not in html

    async def test_it_finds_nothing_of_anybody_else(self):
        reply = await sync_to_async(answer)(self.conversation)
        headers = await sync_to_async(lambda: cookie_of(charlie()))()
        shown = []
        async with self.socket(headers) as socket:
            for pk, conversation_pk in (
                (reply.pk, self.conversation.pk),
                (uuid.uuid4(), uuid.uuid4()),
            ):
                for kind in ("watch", "message.send", "message.stop", "typing"):
                    await socket.command(
                        kind,
                        message_id=str(pk),
                        conversation_id=str(conversation_pk),
                        content="Hello",
                    )
                    shown.append(await socket.receive_from(PATIENCE))

        assert all('data-code="not_found"' in html for html in shown)
        assert shown[:4] == shown[4:]

    async def test_it_shows_nothing_of_a_turn_to_anybody_else(self):
        headers = await sync_to_async(lambda: cookie_of(charlie()))()
        with scripted(*TEXTS):
            async with self.socket(headers) as stranger, self.socket() as socket:
                await self.watching(socket)
                await self.send(socket)
                await self.until(socket, 'data-status="complete"')
                assert await stranger.hears_nothing()

    async def test_it_survives_malformed_frames(self):
        here = str(self.conversation.pk)
        frames = [
            "x",
            "[]",
            "null",
            "{}",
            '{"type": "admin"}',
            '{"type": "watch", "conversation_id": 5}',
            f'{{"type": "message.send", "conversation_id": "{here}", "client_id": 5}}',
            f'{{"type": "message.send", "conversation_id": "{here}", "content": "x",'
            ' "client_id": "\\ud800"}',
            f'{{"type": "message.send", "conversation_id": "{here}", "content": "x",'
            ' "client_id": "\\u0000"}',
            '{"type": "x", "client_id": {"a": 1}}',
        ]
        async with self.socket() as socket:
            for frame in frames:
                await socket.send_to(text_data=frame)
                assert "data-code=" in await socket.receive_from(PATIENCE), frame
            assert "#messages" in await self.watching(socket)
        assert not await Message.objects.aexists()

    async def test_it_starts_the_reply_even_if_it_cannot_be_shown(self):
        with (
            scripted("Once") as script,
            mock.patch.object(
                consumers.fragments, "created", side_effect=consumers.Malformed("x")
            ),
        ):
            async with self.socket() as socket:
                await self.send(socket)
                await until(lambda: script.finished and not generations._runs)

        assert (await Message.objects.aget(role="assistant")).status == "complete"

    async def test_it_speaks_the_language_of_the_profile(self):
        self.user.profile.language = "es"
        await self.user.profile.asave()
        await sync_to_async(answer)(self.conversation)

        def render(*args):
            return translation.get_language()

        with mock.patch.object(consumers.fragments, "render_to_string", render):
            async with self.socket() as socket:
                assert ">es</hx-partial>" in await self.watching(socket)
