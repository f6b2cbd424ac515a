"""Who may open a socket, and for how long."""

from datetime import timedelta
from unittest import mock

from allauth.usersessions.models import UserSession
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session as BrowserSession
from django.db import OperationalError
from django.test import override_settings
from django.utils import timezone
from django.utils.translation import get_language

from accounts.authentication import sessions
from accounts.authentication.bearer import session_of
from accounts.errors import Refusal
from accounts.models import Profile, Session, SocketTicket
from accounts.tests.factories import bearer, bob, change
from conversations import watch
from conversations.tests.socket_cases import (
    Connected,
    SocketTestCase,
    application,
    cookie_of,
    token_of,
)

make_token = sync_to_async(bearer)
make_headers = sync_to_async(token_of)
make_cookie = sync_to_async(cookie_of)


@sync_to_async
def make_ticket(user):
    return sessions.issue_ticket(session_of(bearer(user)))


class HandshakeTests(SocketTestCase):
    async def test_it_takes_a_token_in_the_header(self):
        async with self.connected("/ws/", await make_headers(self.user)) as socket:
            await socket.command("ping")
            assert await socket.next() == {"type": "pong"}

    async def test_it_takes_the_address_without_a_slash(self):
        headers = await make_headers(self.user)

        assert await self.refused_with("/ws", headers) is None

    async def test_it_takes_a_token_as_subprotocol_and_names_ours_alone(self):
        subprotocols = ["bearer", await make_token(self.user)]
        socket = Connected(application, "/ws/", subprotocols=subprotocols)

        assert await socket.connect() == (True, "bearer")
        await socket.disconnect()

    async def test_it_takes_a_ticket_once(self):
        ticket = await make_ticket(self.user)

        assert await self.refused_with(f"/ws/?ticket={ticket}") is None
        assert await self.refused_with(f"/ws/?ticket={ticket}") == 4401

    async def test_it_takes_no_ticket_that_is_too_old(self):
        ticket = await make_ticket(self.user)
        await SocketTicket.objects.aupdate(
            created_at=sessions.timezone.now() - SocketTicket.LIFETIME
        )

        assert await self.refused_with(f"/ws/?ticket={ticket}") == 4401

    async def test_it_takes_a_token_in_the_address_only_where_that_is_allowed(self):
        token = await make_token(self.user)

        assert await self.refused_with(f"/ws/?token={token}") == 4401
        with override_settings(WS_QUERY_TOKEN=True):
            assert await self.refused_with(f"/ws/?token={token}") is None

    async def test_it_refuses_everything_else(self):
        refresh = (await sync_to_async(sessions.open_session)(self.user)).refresh
        with override_settings(WS_QUERY_TOKEN=True):
            for path, headers, subprotocols in (
                ("/ws/", [], None),
                ("/ws/?ticket=x", [], None),
                ("/ws/?ticket=%00%FF", [], None),
                ("/ws/?token=x", [], None),
                ("/ws/", [(b"authorization", b"Bearer x")], None),
                ("/ws/", [(b"authorization", b"Bearer \xff\xfe")], None),
                ("/ws/", [(b"authorization", b"Basic x")], None),
                ("/ws/", [(b"authorization", f"Bearer {refresh}".encode())], None),
                ("/ws/", [], ["bearer"]),
                ("/ws/", [], ["bearer", "x"]),
                ("/ws/", [], ["bearer", refresh]),
            ):
                assert await self.refused_with(path, headers, subprotocols) == 4401

    async def test_it_refuses_a_session_that_is_over(self):
        headers = await make_headers(self.user)
        await Session.objects.aupdate(revoked_at=sessions.timezone.now())

        assert await self.refused_with("/ws/", headers) == 4401

    async def test_it_refuses_while_it_cannot_know(self):
        headers = await make_headers(self.user)
        with mock.patch(
            "accounts.authentication.bearer.claims_of", side_effect=OperationalError
        ):
            async with self.connected("/ws/", headers) as socket:
                await socket.command("ping")  # too soon to have heard of it
                assert await socket.closed_with() == 4503

    async def test_it_does_not_take_a_cookie(self):
        assert await self.refused_with("/ws/", await make_cookie(self.user)) == 4401


class PageHandshakeTests(SocketTestCase):
    async def test_it_takes_a_session_from_our_own_pages(self):
        headers = await make_cookie(self.user)

        assert await self.refused_with("/ws/pages/", headers) is None

    async def test_it_refuses_other_peoples_pages(self):
        for origin in (
            b"https://evil.example",
            b"null",
            b"http://localhost.evil.example",
        ):
            headers = await make_cookie(self.user, origin)
            assert await self.refused_with("/ws/pages/", headers) is not None, origin

    async def test_it_refuses_who_has_not_signed_in(self):
        headers = [(b"origin", b"http://localhost"), (b"host", b"localhost")]

        assert await self.refused_with("/ws/pages/", headers) == 4401

    async def test_it_does_not_take_a_token(self):
        headers = [
            *await make_headers(self.user),
            (b"origin", b"http://localhost"),
            (b"host", b"localhost"),
        ]

        assert await self.refused_with("/ws/pages/", headers) == 4401


class EndTests(SocketTestCase):
    def setUp(self):
        super().setUp()
        patch = mock.patch.object(watch, "WATCH_SECONDS", 0.02)
        patch.start()
        self.addCleanup(patch.stop)

    async def test_it_closes_when_the_session_is_revoked(self):
        headers = await make_headers(self.user)
        async with self.connected("/ws/", headers) as socket:
            await Session.objects.aupdate(revoked_at=sessions.timezone.now())

            assert await socket.closed_with() == 4401

    async def test_it_closes_when_the_user_is_deactivated(self):
        headers = await make_headers(self.user)
        async with self.connected("/ws/", headers) as socket:
            await sync_to_async(change)(self.user, is_active=False)

            assert await socket.closed_with() == 4401

    async def test_it_closes_when_the_browser_signs_out(self):
        async with self.connected("/ws/pages/", await make_cookie(self.user)) as socket:
            await BrowserSession.objects.all().adelete()

            assert await socket.closed_with() == 4401

    async def test_it_closes_when_the_password_changes(self):
        async with self.connected("/ws/pages/", await make_cookie(self.user)) as socket:
            self.user.set_password("another one entirely")
            await self.user.asave()

            assert await socket.closed_with() == 4401

    async def test_it_leaves_the_others_open(self):
        other = await make_headers(await sync_to_async(bob)())
        mine = await make_headers(self.user)
        async with self.connected("/ws/", other) as of_bob:
            async with self.connected("/ws/", mine) as socket:
                await Session.objects.filter(user=self.user).aupdate(
                    revoked_at=sessions.timezone.now()
                )
                await socket.closed_with()
            await of_bob.command("ping")
            assert await of_bob.next() == {"type": "pong"}

    async def test_it_checks_before_every_command(self):
        headers = await make_headers(self.user)
        with mock.patch.object(watch, "WATCH_SECONDS", 60):
            async with self.connected("/ws/", headers) as socket:
                await Session.objects.aupdate(revoked_at=sessions.timezone.now())
                await socket.command(
                    "message.send",
                    conversation_id=str(self.conversation.pk),
                    content="Hello",
                )

                assert (await socket.next())["code"] == "not_authenticated"
                assert await socket.closed_with() == 4401
        assert not await self.conversation.messages.aexists()

    async def test_it_goes_on_while_the_database_is_away(self):
        headers = await make_headers(self.user)
        with mock.patch.object(watch, "_live", side_effect=OperationalError):
            async with self.connected("/ws/", headers) as socket:
                assert await socket.hears_nothing()
                await socket.command("ping")
                assert await socket.next() == {"type": "pong"}

    async def test_it_notes_that_a_session_is_in_use(self):
        cookie = await make_cookie(self.user)
        headers = await make_headers(self.user)
        long_ago = timezone.now() - timedelta(days=1)
        await Session.objects.aupdate(last_seen_at=long_ago)
        await UserSession.objects.aupdate(last_seen_at=long_ago)

        with mock.patch.object(watch, "NOTE_SECONDS", 0):
            async with (
                self.connected("/ws/", headers),
                self.connected("/ws/pages/", cookie) as socket,
            ):
                assert await socket.hears_nothing()

        assert (await Session.objects.aget()).last_seen_at > long_ago
        assert (await UserSession.objects.aget()).last_seen_at > long_ago

    async def test_it_forgets_a_socket_that_left(self):
        async with self.connected("/ws/", await make_headers(self.user)):
            assert len(watch._listeners) == 1
        assert not watch._listeners


class FaultTests(SocketTestCase):
    async def test_a_fault_of_ours_closes_the_socket_and_clears_it_away(self):
        headers = await make_headers(self.user)
        with mock.patch("conversations.turns.locked", side_effect=ZeroDivisionError):
            async with self.connected("/ws/", headers) as socket:
                await socket.command(
                    "message.send",
                    conversation_id=str(self.conversation.pk),
                    content="Hello",
                )
                with self.assertLogs("tertulia.app", "ERROR"):
                    assert await socket.closed_with() == 1011
        assert self.user.pk not in {one.user.pk for one in watch._listeners}


class LanguageTests(SocketTestCase):
    async def test_a_refusal_speaks_the_language_of_the_profile(self):
        await Profile.objects.filter(user=self.user).aupdate(language="es")
        headers = await make_headers(self.user)
        async with self.connected("/ws/", headers) as socket:
            with mock.patch("conversations.turns.locked", side_effect=_telling):
                await socket.command(
                    "message.send",
                    conversation_id=str(self.conversation.pk),
                    content="Hello",
                )
                assert (await socket.next())["detail"] == "es"


def _telling(*args):
    raise Refusal(get_language())
