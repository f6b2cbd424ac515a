"""Which session asked for a reply, and that it stops with that session."""

import asyncio
from unittest import mock

from asgiref.sync import sync_to_async
from django.test import TestCase

from accounts.authentication import browsers, liveness, sessions
from accounts.authentication.bearer import redeem_ticket, session_of
from accounts.models import Session
from accounts.tests.factories import alice, bob
from conversations import generations, turns
from conversations.models import Generation, Message
from conversations.tests.cases import ReplyTestCase, until
from conversations.tests.factories import answer, make_conversation, say
from llm.testing import scripted


class CredentialTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = alice()

    def opened_by(self, user):
        turn = turns.open(user, make_conversation(self.user).pk, "Hello")
        return Generation.objects.get(pk=turn.reply.pk).opened_by

    def test_a_program_is_known_by_its_session(self):
        token = sessions.open_session(self.user).access
        session = Session.objects.get()
        ticket = sessions.issue_ticket(session)

        for user in (
            session_of(token).user,
            redeem_ticket(ticket).user,
            liveness.api_user(session.pk),
        ):
            assert self.opened_by(user) == f"api:{session.pk}"

    def test_a_browser_is_known_by_its_session_but_not_by_its_key(self):
        self.client.force_login(self.user)
        key = self.client.session.session_key
        conversation = make_conversation(self.user)

        user = liveness.browser_user(key)
        with mock.patch.object(generations, "start"):
            path = f"/c/{conversation.pk}/messages"
            self.client.post(path, {"content": "Hello"})

        page = Generation.objects.get(message__conversation=conversation)
        assert page.opened_by == self.opened_by(user) == browsers.credential_of(key)
        assert key not in page.opened_by

    def test_it_belongs_to_who_has_it_written_on(self):
        conversation = make_conversation(self.user)
        say(conversation)
        reply = answer(conversation, "Good", "stopped", generation={"opened_by": "x"})
        token = sessions.open_session(self.user).access

        turns.resume(session_of(token).user, reply.pk)

        opened_by = Generation.objects.get(pk=reply.pk).opened_by
        assert opened_by == f"api:{Session.objects.get().pk}"


class StopTests(TestCase):
    """Replies that another process writes are asked to stop through the database."""

    @classmethod
    def setUpTestData(cls):
        cls.user = alice()
        cls.mine = cls.reply(cls.user, "web:one")
        cls.other = cls.reply(cls.user, "web:two")
        cls.ended = cls.reply(cls.user, "web:one", status="complete")
        cls.of_bob = cls.reply(bob(), "web:one")

    @staticmethod
    def reply(user, opened_by, status="streaming"):
        return answer(
            make_conversation(user), "x", status, generation={"opened_by": opened_by}
        )

    def stopped(self):
        asked = Generation.objects.filter(stop_requested=True)
        return set(asked.values_list("pk", flat=True))

    def test_it_stops_what_a_session_asked_for(self):
        turns.stop_of_sessions(self.user.pk, ["web:one", "api:three"])

        assert self.stopped() == {self.mine.pk}

    def test_it_stops_everything_with_the_last_session(self):
        turns.stop_of_sessions(self.user.pk, None)

        assert self.stopped() == {self.mine.pk, self.other.pk}

    def test_it_hears_when_sessions_end(self):
        with self.captureOnCommitCallbacks(execute=True):
            sessions.end_all(self.user)

        assert self.stopped() == {self.mine.pk, self.other.pk}


class RunningTests(ReplyTestCase):
    """Replies of this process stop at once."""

    async def test_it_stops_with_its_session_and_keeps_its_words(self):
        token = (await sync_to_async(sessions.open_session)(self.user)).access
        session = await sync_to_async(session_of)(token)
        self.user = session.user
        with scripted("Good ", "day ", gate=asyncio.Event()):
            reply = (await self.open()).reply
            await until(lambda: generations._runs[reply.pk].live.transcript.text)

            await sync_to_async(turns.stop_of_sessions)(
                self.user.pk, [session.credential]
            )

            ended = await self.settled(reply)
        assert ended.status == Message.Status.STOPPED
        assert ended.content.startswith("Good ")

    async def test_it_stops_when_its_session_ended_while_it_was_asked_for(self):
        """Nothing was written yet that the end of the session could have stopped."""
        for kind in ("api", "web"):
            with self.subTest(kind):
                self.user = await sync_to_async(self.signed_in)(kind)
                await sync_to_async(sessions.end_all)(self.user)
                with (
                    mock.patch.object(generations, "CHECKPOINT_SECONDS", 0.02),
                    scripted("Good ", "day ", gate=asyncio.Event()),
                ):
                    reply = (await self.open()).reply

                    ended = await self.settled(reply)

                assert ended.status == Message.Status.STOPPED

    async def test_it_goes_on_while_its_session_does_and_asks_once(self):
        for kind in ("api", "web", "none"):
            with self.subTest(kind):
                self.user = await sync_to_async(self.signed_in)(kind)
                gate, asked = asyncio.Event(), mock.Mock(wraps=liveness.over)
                with (
                    mock.patch.object(generations, "CHECKPOINT_SECONDS", 0.02),
                    mock.patch.object(liveness, "over", asked),
                    scripted("Good ", "day ", gate=gate),
                ):
                    reply = (await self.open()).reply
                    run = generations._runs[reply.pk]
                    await until(lambda: run.was_asked)  # noqa: B023
                    await asyncio.sleep(0.1)
                    gate.set()

                    ended = await self.settled(reply)

                assert ended.status == Message.Status.COMPLETE
                assert asked.call_count == 1

    def signed_in(self, kind):
        if kind == "api":
            return session_of(sessions.open_session(self.user).access).user
        if kind == "web":
            self.client.force_login(self.user)
            return liveness.browser_user(self.client.session.session_key)
        self.user.credential = ""
        return self.user
