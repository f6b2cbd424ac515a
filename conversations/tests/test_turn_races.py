"""The same at the same moment, from many threads, on whichever database there is."""

import threading
from functools import partial
from unittest import mock

from django.db import connection
from django.test import TransactionTestCase, override_settings
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import alice
from accounts.tests.races import at_once
from conversations import checkpoints, errors, lifecycle, turns
from conversations.endings import Ending
from conversations.models import Conversation, Generation, Message
from conversations.tests.factories import answer, make_character, make_conversation, say
from conversations.turns import Turn
from llm.models import DailyUsage
from llm.types import Usage

ROUNDS = 3


def of(kind, results):
    return [result for result in results if isinstance(result, kind)]


@override_settings(CHAT_RATE="1000/m", REDIS_URL="")
class TurnRaceTests(TransactionTestCase):
    def setUp(self):
        self.user = alice()
        self.conversation = make_conversation(self.user)

    def me(self):
        return User.objects.select_related("profile", "plan").get(pk=self.user.pk)

    def open(self, content, **fields):
        return turns.open(self.me(), self.conversation.pk, content, **fields)

    def end(self, reply, text="Good day"):
        """Settle a reply as its generation does."""
        return checkpoints.settle(
            checkpoints.Settlement(
                user_id=self.user.pk,
                reply=reply,
                text=text,
                lengths=f"0,{len(text)},0",
                ending=Ending("complete", "stop"),
                usage=Usage(10, 2, exact=True),
                model="test/m",
                first_token_ms=1,
                duration_ms=2,
            )
        )

    def test_it_opens_one_turn_of_ten_with_the_same_client_id(self):
        for number in range(ROUNDS):
            results = at_once([partial(self.open, "Hello", client_id=str(number))] * 10)

            assert len(of(Turn, results)) == 10, results
            assert sum(turn.is_new for turn in results) == 1
            assert len({turn.reply.pk for turn in results}) == 1
            assert len({turn.message.pk for turn in results}) == 1
            assert Message.objects.count() == 2 * (number + 1)
            generation = Generation.objects.get(message__status="streaming")
            assert DailyUsage.objects.get().reserved == generation.reserved_units
            self.end(Message.objects.get(status="streaming"))

    def test_it_lets_one_of_several_texts_win(self):
        for number in range(ROUNDS):
            results = at_once([partial(self.open, f"Text {n}") for n in range(6)])

            (turn,) = of(Turn, results)
            assert len(of(errors.Busy, results)) == 5, results
            assert Message.objects.count() == 2 * (number + 1)
            assert DailyUsage.objects.get().reserved == (
                turn.reply.generation.reserved_units
            )
            self.end(turn.reply)
            assert DailyUsage.objects.get().reserved == 0

    def test_it_writes_one_of_several_again(self):
        asked = say(self.conversation)
        answer(self.conversation)

        results = at_once([lambda: turns.regenerate(self.me(), asked.pk)] * 5)

        assert len(of(Turn, results)) == 1, results
        assert len(of(errors.Busy, results)) == 4

    def test_it_continues_once(self):
        say(self.conversation)
        reply = answer(self.conversation, status="interrupted")

        results = at_once([lambda: turns.resume(self.me(), reply.pk)] * 5)

        assert len(of(Turn, results)) == 1, results
        assert len(of(errors.Busy, results)) == 4
        assert DailyUsage.objects.get().reserved == (
            Generation.objects.get().reserved_units
        )

    def test_it_makes_one_default_conversation(self):
        make_character("assistant", greeting="Hello.")

        results = at_once([lambda: lifecycle.default_conversation(self.me())] * 6)

        assert len({conversation.pk for conversation in results}) == 1
        assert Conversation.objects.filter(is_default=True).count() == 1
        assert Message.objects.count() == 1

    def test_it_never_reserves_more_than_the_limit(self):
        User.objects.update(daily_units=5000)
        conversations = [make_conversation(self.user) for _ in range(8)]

        results = at_once(
            [
                partial(lambda c: turns.open(self.me(), c.pk, "x"), c)
                for c in conversations
            ]
        )

        assert len(of(Turn, results)) == 3, results
        assert len(of(errors.QuotaExceeded, results)) == 5
        assert DailyUsage.objects.get().reserved == 5000

    def while_settling(self, call):
        """Do `call` between the statements that end a reply."""
        turn = self.open("Hello")
        is_halfway, charge = threading.Event(), checkpoints._charge

        def charge_slowly(*args):
            charge(*args)
            is_halfway.set()
            # Until the other waits for us, or is done.
            threading.Event().wait(0.3)

        def during():
            is_halfway.wait(10)
            return call(turn)

        with mock.patch.object(checkpoints, "_charge", charge_slowly):
            return at_once([lambda: self.end(turn.reply), during])

    def test_it_takes_a_message_at_the_moment_a_reply_ends(self):
        results = self.while_settling(lambda _turn: self.open("And then?"))

        assert isinstance(results[0], Generation), results
        assert isinstance(results[1], Turn), results

    def test_it_resets_at_the_moment_a_reply_ends(self):
        results = self.while_settling(
            lambda _turn: lifecycle.reset(self.me(), self.conversation.pk)
        )

        assert isinstance(results[0], Generation), results
        assert isinstance(results[1], Conversation), results

    def test_it_deletes_at_the_moment_a_reply_ends(self):
        results = self.while_settling(
            lambda _turn: lifecycle.delete(
                Conversation.objects.get(pk=self.conversation.pk)
            )
        )

        assert isinstance(results[0], Generation), results
        assert results[1] is None
        assert not Message.objects.exists()
        usage = DailyUsage.objects.get()
        assert (usage.used, usage.reserved) == (12, 0)

    def test_it_continues_with_what_was_stored_when_a_reply_has_just_ended(self):
        turn = self.open("Hello")
        lock = turns.locked

        def settle_first(*args):
            # In the moment before the lock another thread ends the reply.
            at_once([lambda: self.end_stopped(turn.reply)])
            return lock(*args)

        if connection.vendor == "sqlite":
            self.end_stopped(turn.reply)  # there, transactions do not overlap
            settle_first = lock
        with mock.patch.object(turns, "locked", settle_first):
            resumed = turns.resume(self.me(), turn.reply.pk)

        assert resumed.reply.content == "Good"
        assert resumed.reply.generation.lengths == "0,4,0"
        stored = Generation.objects.get()
        assert (stored.lengths, stored.completion_tokens) == ("0,4,0", 1)

    def end_stopped(self, reply):
        checkpoints.settle(
            checkpoints.Settlement(
                user_id=self.user.pk,
                reply=reply,
                text="Good",
                lengths="0,4,0",
                ending=Ending("stopped", "stop", "stopped"),
                usage=Usage(10, 1, exact=False),
                model="test/m",
                first_token_ms=1,
                duration_ms=2,
            )
        )

    def test_it_interrupts_once_when_all_processes_sweep(self):
        turn = self.open("Hello")
        Generation.objects.update(
            worker="elsewhere:1:x",
            heartbeat_at=timezone.now() - timezone.timedelta(minutes=1),
            run_prompt_tokens=40,
            lengths="0,4",
        )
        Message.objects.filter(pk=turn.reply.pk).update(content="Good")

        with self.assertLogs("tertulia.app", "WARNING"):
            results = at_once([checkpoints.recover] * 5)

        assert sorted(results) == [0, 0, 0, 0, 1]
        usage = DailyUsage.objects.get()
        assert (usage.used, usage.reserved) == (41, 0)
