"""Opening a turn: what is stored, what is refused, and what a refusal leaves."""

import uuid
from datetime import date
from unittest import mock

from django.conf import settings
from django.db import IntegrityError, transaction
from django.test import TestCase, override_settings
from django.utils import timezone

from accounts.errors import RateLimited, Refusal
from accounts.models import AuditEvent
from accounts.tests.factories import alice, charlie
from conversations import errors, generations, lifecycle, turns
from conversations.models import Conversation, Generation, Message
from conversations.tests.factories import (
    ADULT,
    answer,
    make_adult_character,
    make_character,
    make_conversation,
    say,
)
from llm.models import DailyUsage, LanguageModel
from llm.tokens import estimate_tokens


def rows():
    """Return everything that a refused turn must not change."""
    return (
        list(Message.objects.values_list("pk", "status", "content")),
        list(Generation.objects.values_list("pk", "reserved_units")),
        list(DailyUsage.objects.values_list("used", "reserved")),
        list(Conversation.objects.values_list("pk", "head", "title", "status")),
    )


class TurnTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = alice()
        cls.conversation = make_conversation(cls.user)

    def open(self, content="Hello", conversation=None, **fields):
        conversation = conversation or self.conversation
        return turns.open(self.user, conversation.pk, content, **fields)

    def assert_refused(self, refusal, call, *args, **kwargs):
        before = rows()
        with self.assertRaises(Refusal) as caught:
            call(*args, **kwargs)
        assert type(caught.exception) is refusal
        assert caught.exception.detail
        assert rows() == before
        return caught.exception


class OpenTests(TurnTestCase):
    def test_it_stores_the_message_and_an_open_reply(self):
        turn = self.open("  Hello there \n", client_id="one")

        message, reply = self.conversation.messages.order_by("created_at")
        assert (message, reply) == (turn.message, turn.reply)
        assert (message.role, message.status) == ("user", "sent")
        assert (message.content, message.client_id) == ("Hello there", "one")
        assert (reply.role, reply.status, reply.content) == (
            "assistant",
            "streaming",
            "",
        )
        assert (message.parent_id, reply.parent_id) == (None, message.pk)
        assert turn.is_new

    def test_it_goes_on_where_the_conversation_ended(self):
        last = answer(self.conversation)

        assert self.open().message.parent_id == last.pk

    def test_it_shows_the_turn_in_the_conversation(self):
        turn = self.open("How does a jukebox work?\nTell me " + "everything " * 30)

        self.conversation.refresh_from_db()
        assert self.conversation.head_id == turn.reply.pk
        assert (
            self.conversation.title
            == "How does a jukebox work? Tell me everything everything every"
        )
        assert self.conversation.last_message_preview.startswith("How does a jukebox")
        assert self.conversation.last_message_at == turn.message.created_at

    def test_it_keeps_a_title_that_is_there(self):
        Conversation.objects.update(title="Jukeboxes")

        self.open()

        self.conversation.refresh_from_db()
        assert self.conversation.title == "Jukeboxes"

    def test_it_reserves_what_the_reply_may_cost(self):
        turn = self.open("Hello there")

        units = estimate_tokens("Hello there") + settings.LLM_MAX_OUTPUT_TOKENS
        assert turn.reply.generation.reserved_units == units
        assert DailyUsage.objects.get().reserved == units

    def test_it_reserves_as_much_as_the_model_may_write(self):
        self.conversation.model = LanguageModel.objects.create(
            provider="demo", name="long", max_output_tokens=5000, context_tokens=9000
        )
        self.conversation.save()

        turn = self.open("Hello there")

        units = estimate_tokens("Hello there") + 5000
        assert turn.reply.generation.reserved_units == units

    def test_it_hands_over_the_history(self):
        asked, said = say(self.conversation, "One"), answer(self.conversation, "Two")

        turn = self.open("Three")

        assert list(turn.history) == [asked, said, turn.message]

    def test_it_leaves_the_history_out_when_asked_to(self):
        say(self.conversation, "One")

        turn = self.open("Two", use_context=False)

        assert list(turn.history) == [turn.message]

    def test_it_reads_a_bounded_part_of_the_history(self):
        for number in range(5):
            say(self.conversation, str(number))

        with mock.patch.object(turns, "CONTEXT_MESSAGES", 3):
            turn = self.open("5")

        assert [m.content for m in turn.history] == ["2", "3", "4", "5"]

    def test_it_reads_only_its_own_branch(self):
        first = say(self.conversation, "One")
        answer(self.conversation, "Not this")
        answer(self.conversation, "This", parent=first)

        turn = self.open("Two")

        assert [m.content for m in turn.history] == ["One", "This", "Two"]

    def test_it_stores_further_fields(self):
        quoted = say(self.conversation)

        message = self.open(
            reply_to_id=quoted.pk, importance_level="high", media_urls=["https://a.b/c"]
        ).message

        message.refresh_from_db()
        assert message.reply_to_id == quoted.pk
        assert message.importance_level == "high"
        assert message.media_urls == ["https://a.b/c"]


class RefusalTests(TurnTestCase):
    def test_it_refuses_a_conversation_that_is_not_there(self):
        refusal = self.assert_refused(
            errors.NotFound, turns.open, self.user, uuid.uuid4(), "Hello"
        )
        assert (refusal.status, refusal.code) == (404, "not_found")

    def test_it_refuses_somebody_elses_with_the_same_words(self):
        missing = self.assert_refused(
            errors.NotFound, turns.open, self.user, uuid.uuid4(), "Hello"
        )
        foreign = self.assert_refused(
            errors.NotFound, turns.open, charlie(), self.conversation.pk, "Hello"
        )
        assert foreign.body == missing.body

    def test_it_refuses_while_a_reply_is_written(self):
        self.open("One")

        refusal = self.assert_refused(errors.Busy, self.open, "Two")
        assert (refusal.status, refusal.code) == (409, "busy")

    def test_it_refuses_a_closed_conversation(self):
        Conversation.objects.update(status="closed")

        refusal = self.assert_refused(errors.ConversationClosed, self.open)
        assert (refusal.status, refusal.code) == (409, "conversation_closed")

    def test_it_refuses_who_is_too_young(self):
        adult = make_conversation(self.user, make_adult_character())

        refusal = self.assert_refused(
            errors.AgeRestricted, self.open, conversation=adult
        )
        assert (refusal.status, refusal.code) == (403, "age_restricted")

    def test_it_asks_nobody_for_a_birthdate_who_has_one(self):
        adult = make_conversation(self.user, make_adult_character())
        unknown = self.assert_refused(
            errors.AgeRestricted, self.open, conversation=adult
        )
        self.user.profile.edit(birthdate=date(2016, 5, 17))

        young = self.assert_refused(errors.AgeRestricted, self.open, conversation=adult)

        assert "Add a birthdate" in unknown.detail
        assert "by your birthdate" in young.detail

    def test_it_refuses_content_that_is_never_allowed(self):
        with self.assertLogs("tertulia.audit", "INFO") as logs:
            refusal = self.assert_refused(
                errors.BlockedContent, self.open, "a naked child"
            )
        assert (refusal.status, refusal.code) == (403, "blocked_content")
        assert refusal.body["rule"] == "sexual_content_with_minors"
        assert "naked" not in str(logs.output)
        # What was rolled back took only the message along.
        event = AuditEvent.objects.get(action="message.blocked")
        assert (event.actor, event.details) == (
            self.user,
            {"rule": refusal.body["rule"]},
        )
        assert event.object_id == str(self.conversation.pk)

    def test_it_refuses_when_no_units_are_left(self):
        DailyUsage.objects.create(
            user=self.user, date=timezone.now().date(), used=10_000
        )

        refusal = self.assert_refused(errors.QuotaExceeded, self.open)
        assert (refusal.status, refusal.code) == (429, "quota_exceeded")
        assert refusal.body["reset_at"] > timezone.now().isoformat()
        assert 0 < refusal.body["retry_after"] <= 24 * 3600

    @override_settings(CHAT_RATE="2/m")
    def test_it_refuses_too_many_a_minute(self):
        for content in ("One", "Two"):
            self.open(content, make_conversation(self.user))

        refusal = self.assert_refused(
            RateLimited, self.open, "Three", make_conversation(self.user)
        )
        assert (refusal.status, refusal.code) == (429, "rate_limited")
        assert refusal.body["retry_after"] > 0

    def test_it_refuses_while_the_server_ends(self):
        with mock.patch.object(generations, "_is_draining", True):
            refusal = self.assert_refused(errors.Draining, self.open)
        assert (refusal.status, refusal.code) == (503, "unavailable")
        assert refusal.body["retry_after"]

    def test_it_refuses_what_cannot_be_stored_or_answered(self):
        for content in ("", " \n\t", "a\x00b", "a\ud800b", "x" * 32_001):
            refusal = self.assert_refused(errors.Invalid, self.open, content)
            assert (refusal.status, refusal.code) == (400, "invalid")

    def test_it_refuses_a_client_id_that_cannot_be_stored(self):
        for client_id in ("x" * 65, "a\x00b", "a\udfffb"):
            self.assert_refused(errors.Invalid, self.open, client_id=client_id)

    def test_it_refuses_to_quote_another_conversation(self):
        elsewhere = say(make_conversation(self.user))

        self.assert_refused(errors.Invalid, self.open, reply_to_id=elsewhere.pk)


class ClientIdTests(TurnTestCase):
    def test_it_returns_the_same_turn_again(self):
        first = self.open("Hello", client_id="one")
        before = rows()

        again = self.open(" Hello ", client_id="one")

        assert (again.message, again.reply) == (first.message, first.reply)
        assert not again.is_new
        assert rows() == before

    def test_it_returns_it_when_the_reply_has_ended(self):
        first = self.open("Hello", client_id="one")
        Message.objects.filter(pk=first.reply.pk).update(status="complete")

        again = self.open("Hello", client_id="one")

        assert again.reply == first.reply
        assert Message.objects.count() == 2

    def test_it_refuses_another_text(self):
        self.open("Hello", client_id="one")

        refusal = self.assert_refused(
            errors.ClientIdReused, self.open, "Good bye", client_id="one"
        )
        assert (refusal.status, refusal.code) == (409, "client_id_reused")

    def test_it_takes_the_same_in_another_conversation(self):
        self.open("Hello", client_id="one")

        other = self.open("Hello", make_conversation(self.user), client_id="one")

        assert other.is_new

    def test_it_returns_it_when_nothing_is_left_for_another(self):
        first = self.open("Hello", client_id="one")
        DailyUsage.objects.update(used=10_000)

        assert self.open("Hello", client_id="one").reply == first.reply

    def test_it_returns_it_from_a_conversation_that_was_closed(self):
        first = self.open("Hello", client_id="one")
        Conversation.objects.update(status="closed")

        assert self.open("Hello", client_id="one").reply == first.reply

    def test_it_refuses_when_the_reply_was_deleted(self):
        first = self.open("Hello", client_id="one")
        first.reply.delete()

        self.assert_refused(errors.ClientIdReused, self.open, "Hello", client_id="one")

    def test_it_takes_no_message_for_the_reply_that_was_deleted(self):
        first = self.open("Hello", client_id="one")
        Message.objects.filter(pk=first.reply.pk).update(status="complete")
        lifecycle.delete_message(self.user, first.reply.pk)
        self.open("And now?")

        self.assert_refused(errors.ClientIdReused, self.open, "Hello", client_id="one")

    def test_it_shows_nobody_elses_turn(self):
        self.open("Hello", client_id="one")

        self.assert_refused(
            errors.NotFound,
            turns.open,
            charlie(),
            self.conversation.pk,
            "Hello",
            client_id="one",
        )


class BeginTests(TurnTestCase):
    def test_it_lets_the_character_speak_first(self):
        conversation = lifecycle.begin(self.user, make_character(greeting="Welcome."))

        greeting = conversation.messages.get()
        assert (greeting.role, greeting.status) == ("assistant", "complete")
        assert conversation.head == greeting
        assert conversation.last_message_preview == "Welcome."

    def test_it_begins_empty_without_a_greeting(self):
        conversation = lifecycle.begin(self.user, make_character())

        assert conversation.head is None

    def test_it_shows_an_adult_character_to_nobody_too_young(self):
        character = make_adult_character(greeting="Come closer.")

        self.assert_refused(errors.AgeRestricted, lifecycle.begin, self.user, character)

    def test_it_shows_an_adult_character_to_an_adult(self):
        self.user.profile.birthdate = ADULT

        assert lifecycle.begin(self.user, make_adult_character(greeting="Hello."))

    def test_it_answers_in_the_default_conversation_with_the_assistant(self):
        make_character("aaa")
        assistant = make_character("assistant")

        first = lifecycle.default_conversation(self.user)

        assert first.character == assistant
        assert lifecycle.default_conversation(self.user) == first

    def test_it_answers_with_somebody_for_everyone_without_an_assistant(self):
        make_adult_character(created_at=timezone.now().replace(year=2000))

        character = lifecycle.default_conversation(self.user).character

        assert not character.is_adult

    def test_it_says_when_there_is_nobody_to_talk_with(self):
        Conversation.objects.all().delete()
        make_adult_character()
        type(self.conversation.character).objects.filter(rating="everyone").delete()

        self.assert_refused(errors.NotFound, lifecycle.default_conversation, self.user)


class OneOpenReplyTests(TurnTestCase):
    """The database enforces it, whatever the code does."""

    def test_it_has_one_open_reply_a_conversation(self):
        answer(self.conversation, "", "streaming")

        with self.assertRaises(IntegrityError), transaction.atomic():
            answer(self.conversation, "", "streaming")

    def test_it_does_not_reopen_a_second_one(self):
        done = answer(self.conversation)
        answer(self.conversation, "", "streaming")

        with self.assertRaises(IntegrityError), transaction.atomic():
            Message.objects.filter(pk=done.pk).update(status="streaming")

    def test_it_keeps_statuses_to_their_roles(self):
        for role, status in (("user", "complete"), ("assistant", "sent")):
            with self.assertRaises(IntegrityError), transaction.atomic():
                Message.objects.create(
                    conversation=self.conversation, role=role, status=status
                )

    def test_it_stores_a_client_id_once_a_conversation(self):
        say(self.conversation, client_id="one")

        with self.assertRaises(IntegrityError), transaction.atomic():
            say(self.conversation, client_id="one")

    def test_it_has_one_open_default_conversation_a_user(self):
        make_conversation(self.user, is_default=True, status="closed")
        make_conversation(self.user, is_default=True)

        with self.assertRaises(IntegrityError), transaction.atomic():
            make_conversation(self.user, is_default=True)
