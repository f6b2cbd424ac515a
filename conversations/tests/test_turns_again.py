"""Regenerate, continue, stop, reset, delete."""

import uuid

from accounts.tests.factories import charlie
from conversations import errors, lifecycle, turns
from conversations.models import Conversation, Generation, Message
from conversations.previews import title
from conversations.tests.factories import (
    ADULT,
    answer,
    make_adult_character,
    make_conversation,
    say,
    talk,
)
from conversations.tests.test_turns import TurnTestCase
from llm.models import DailyUsage


class RegenerateTests(TurnTestCase):
    def setUp(self):
        self.asked = say(self.conversation, "One")
        self.reply = answer(self.conversation, "Two")

    def test_it_opens_another_reply_beside_the_first(self):
        turn = turns.regenerate(self.user, self.reply.pk)

        assert turn.reply.parent_id == self.asked.pk
        assert turn.reply != self.reply
        assert turn.message is None
        assert list(turn.history) == [self.asked]
        self.conversation.refresh_from_db()
        assert self.conversation.head_id == turn.reply.pk
        self.reply.refresh_from_db()
        assert self.reply.content == "Two"

    def test_it_takes_the_message_that_is_answered_too(self):
        turn = turns.regenerate(self.user, self.asked.pk)

        assert turn.reply.parent_id == self.asked.pk

    def test_it_opens_one_in_the_middle_of_a_conversation(self):
        say(self.conversation, "Three")

        turn = turns.regenerate(self.user, self.reply.pk)

        assert [m.content for m in turn.history] == ["One"]

    def test_it_refuses_a_greeting(self):
        greeting = answer(make_conversation(self.user), "Welcome.")

        self.assert_refused(errors.Invalid, turns.regenerate, self.user, greeting.pk)

    def test_it_refuses_while_a_reply_is_written(self):
        turns.regenerate(self.user, self.reply.pk)

        self.assert_refused(errors.Busy, turns.regenerate, self.user, self.reply.pk)

    def test_it_refuses_a_closed_conversation(self):
        Conversation.objects.update(status="closed")

        self.assert_refused(
            errors.ConversationClosed, turns.regenerate, self.user, self.reply.pk
        )

    def test_it_refuses_what_is_somebody_elses(self):
        self.assert_refused(errors.NotFound, turns.regenerate, charlie(), self.reply.pk)

    def test_it_refuses_who_is_too_young_by_now(self):
        adult = make_conversation(self.user, make_adult_character())
        say(adult)
        reply = answer(adult)

        self.assert_refused(errors.AgeRestricted, turns.regenerate, self.user, reply.pk)


class ContinueTests(TurnTestCase):
    def interrupted(self, text="Once upon", status="interrupted", **generation):
        say(self.conversation, "A story")
        return answer(
            self.conversation,
            text,
            status,
            generation={"error_code": "interrupted"} | generation,
        )

    def test_it_opens_the_same_reply_again(self):
        reply = self.interrupted()

        turn = turns.resume(self.user, reply.pk)

        assert turn.reply == reply
        assert turn.is_continuation
        assert [m.content for m in turn.history] == ["A story", "Once upon"]
        reply.refresh_from_db()
        assert (reply.status, reply.content) == ("streaming", "Once upon")
        assert reply.generation.reserved_units == DailyUsage.objects.get().reserved > 0

    def test_it_goes_on_with_what_was_stopped_or_cut_by_length(self):
        for status, fields in (
            ("stopped", {}),
            ("complete", {"finish_reason": "length", "error_code": ""}),
            ("interrupted", {}),
        ):
            reply = self.interrupted(status=status, **fields)
            assert turns.resume(self.user, reply.pk).reply == reply
            Message.objects.filter(pk=reply.pk).update(status="complete")

    def test_it_goes_on_with_a_reply_without_a_word(self):
        reply = self.interrupted("", lengths="0,0")

        turn = turns.resume(self.user, reply.pk)

        assert turn.reply == reply

    def test_it_refuses_a_reply_that_is_whole_or_failed(self):
        for status in ("complete", "failed"):
            reply = answer(self.conversation, status=status)
            refusal = self.assert_refused(
                errors.CannotContinue, turns.resume, self.user, reply.pk
            )
            assert (refusal.status, refusal.code) == (409, "cannot_continue")

    def test_it_refuses_a_greeting(self):
        greeting = answer(self.conversation, "Welcome.")
        Generation.objects.all().delete()

        self.assert_refused(errors.CannotContinue, turns.resume, self.user, greeting.pk)

    def test_it_refuses_what_a_person_wrote(self):
        message = say(self.conversation)

        self.assert_refused(errors.CannotContinue, turns.resume, self.user, message.pk)

    def test_it_refuses_when_the_conversation_went_on(self):
        reply = self.interrupted()
        say(self.conversation, "Never mind")

        self.assert_refused(errors.CannotContinue, turns.resume, self.user, reply.pk)

    def test_it_refuses_while_it_is_written(self):
        reply = self.interrupted()
        turns.resume(self.user, reply.pk)

        self.assert_refused(errors.Busy, turns.resume, self.user, reply.pk)

    def test_it_refuses_while_another_is_written(self):
        reply = self.interrupted()
        answer(self.conversation, "", "streaming", parent=reply.parent)

        self.assert_refused(errors.Busy, turns.resume, self.user, reply.pk)

    def test_it_refuses_without_units(self):
        reply = self.interrupted()
        self.user.daily_units = 0

        self.assert_refused(errors.QuotaExceeded, turns.resume, self.user, reply.pk)

    def test_it_refuses_what_is_somebody_elses(self):
        self.assert_refused(
            errors.NotFound, turns.resume, charlie(), self.interrupted().pk
        )


class StopTests(TurnTestCase):
    def test_it_asks_whoever_writes_it_to_stop(self):
        reply = self.open().reply

        turns.stop(self.user, reply.pk)

        reply.refresh_from_db()
        assert reply.generation.stop_requested

    def test_it_leaves_alone_what_has_ended(self):
        reply = answer(self.conversation)

        assert turns.stop(self.user, reply.pk) == reply
        assert not Generation.objects.get().stop_requested

    def test_it_stops_nothing_of_anybody_else(self):
        reply = self.open().reply

        self.assert_refused(errors.NotFound, turns.stop, charlie(), reply.pk)
        assert not Generation.objects.get().stop_requested
        self.assert_refused(errors.NotFound, turns.stop, self.user, uuid.uuid4())


class ResetTests(TurnTestCase):
    def test_it_closes_the_old_and_opens_a_new_one(self):
        new = lifecycle.reset(self.user, self.conversation.pk)

        self.conversation.refresh_from_db()
        assert self.conversation.status == "closed"
        assert new != self.conversation
        assert (new.status, new.character) == ("open", self.conversation.character)

    def test_it_stops_what_is_written_in_the_old_one(self):
        reply = self.open().reply

        lifecycle.reset(self.user, self.conversation.pk)

        assert Generation.objects.get(pk=reply.pk).stop_requested

    def test_it_hands_on_that_it_is_the_default(self):
        Conversation.objects.update(is_default=True)

        new = lifecycle.reset(self.user, self.conversation.pk)

        assert lifecycle.find_default(self.user) == new

    def test_it_refuses_what_is_somebody_elses(self):
        self.assert_refused(
            errors.NotFound, lifecycle.reset, charlie(), self.conversation.pk
        )

    def test_it_lets_the_character_speak_first_again(self):
        self.user.profile.birthdate = ADULT
        adult = make_conversation(self.user, make_adult_character(greeting="You again"))

        assert lifecycle.reset(self.user, adult.pk).head.content == "You again"


class DeleteTests(TurnTestCase):
    def test_it_deletes_a_conversation_with_everything_in_it(self):
        say(self.conversation)
        answer(self.conversation)

        lifecycle.delete(self.conversation)

        assert not Conversation.objects.exists()
        assert not Message.objects.exists()
        assert not Generation.objects.exists()

    def test_it_gives_back_what_a_reply_held(self):
        self.open()

        lifecycle.delete(self.conversation)

        assert DailyUsage.objects.get().reserved == 0

    def test_it_charges_for_what_was_written(self):
        reply = self.open().reply
        Message.objects.filter(pk=reply.pk).update(content="Hello there")
        Generation.objects.update(lengths="0,11", run_prompt_tokens=40)

        lifecycle.delete(self.conversation)

        usage = DailyUsage.objects.get()
        assert (usage.used, usage.reserved) == (43, 0)

    def test_it_deletes_a_message_and_what_follows(self):
        first = say(self.conversation, "One")
        second = answer(self.conversation, "Two")
        third = say(self.conversation, "Three")
        answer(self.conversation, "Four")

        lifecycle.delete_message(self.user, third.pk)

        self.conversation.refresh_from_db()
        assert self.conversation.head_id == second.pk
        assert list(self.conversation.messages.all()) == [first, second]

    def test_it_shows_the_same_branch_when_another_is_deleted(self):
        first = say(self.conversation, "One")
        other = answer(self.conversation, "Two")
        shown = answer(self.conversation, "Three", parent=first)

        lifecycle.delete_message(self.user, other.pk)

        self.conversation.refresh_from_db()
        assert self.conversation.head_id == shown.pk

    def test_it_shows_nothing_of_what_was_deleted(self):
        self.conversation.title = title("My secret")
        self.conversation.save()
        greeting = answer(self.conversation, "Welcome")
        said = say(self.conversation, "My secret")
        self.conversation.last_message_preview = "A secret"
        self.conversation.save()

        lifecycle.delete_message(self.user, said.pk)

        self.conversation.refresh_from_db()
        assert self.conversation.head_id == greeting.pk
        assert self.conversation.last_message_preview == "Welcome"
        assert self.conversation.title == ""

    def test_it_keeps_a_title_that_was_given(self):
        self.conversation.title = "Jukeboxes"
        self.conversation.save()
        said = say(self.conversation, "My secret")

        lifecycle.delete_message(self.user, said.pk)

        self.conversation.refresh_from_db()
        assert self.conversation.title == "Jukeboxes"
        assert self.conversation.last_message_preview == ""

    def test_it_deletes_from_far_above(self):
        talk(self.conversation, turns=600)
        second = self.conversation.messages.order_by("created_at")[1]

        lifecycle.delete_message(self.user, second.pk)

        self.conversation.refresh_from_db()
        assert self.conversation.head_id == second.parent_id
        assert self.conversation.messages.count() == 1

    def test_it_deletes_nothing_while_a_reply_is_written(self):
        message = self.open().message

        self.assert_refused(
            errors.Busy, lifecycle.delete_message, self.user, message.pk
        )

    def test_it_deletes_nothing_of_anybody_else(self):
        message = say(self.conversation)

        self.assert_refused(
            errors.NotFound, lifecycle.delete_message, charlie(), message.pk
        )
