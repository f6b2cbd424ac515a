"""The pages of conversations, as somebody without any script uses them."""

import uuid
from datetime import date
from unittest import mock

from django.test import TestCase, override_settings
from django.urls import reverse

from accounts.tests.factories import ada, alice, charlie
from conversations import turns
from conversations.fragments import SHOWN
from conversations.models import Conversation, Message
from conversations.tests.factories import (
    ADULT,
    answer,
    make_adult_character,
    make_character,
    make_conversation,
    say,
    talk,
)
from llm.testing import scripted

HTMX = {"HX-Request": "true"}


class PageTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = alice()
        cls.conversation = make_conversation(cls.user, make_character("sage"))

    def setUp(self):
        self.client.force_login(self.user)

    @property
    def page(self):
        return f"/c/{self.conversation.pk}"

    def send(self, content="Hello", client_id="", **extra):
        body = {"content": content, "client_id": client_id}
        return self.client.post(f"{self.page}/messages", body, **extra)

    def shown(self):
        return self.client.get(self.page).context["history"].messages


class StartTests(PageTestCase):
    def start(self, slug="vera"):
        return self.client.post(f"/characters/{slug}/start")

    def test_it_opens_a_conversation_in_which_the_character_speaks_first(self):
        make_character("vera", greeting="Sit with me.")

        page = self.client.post("/characters/vera/start", follow=True)

        self.assertContains(page, "Sit with me.")
        assert self.user.conversations.filter(character="vera").count() == 1

    def test_it_comes_back_to_one_in_which_nothing_was_said(self):
        make_character("vera", greeting="Sit with me.")
        first = self.start()

        assert self.start()["Location"] == first["Location"]

    def test_it_opens_another_once_something_was_said(self):
        make_character("vera")
        first = self.start()
        say(Conversation.objects.get(character="vera"))

        assert self.start()["Location"] != first["Location"]

    def test_adults_may_talk_with_everybody(self):
        make_adult_character("vera")
        self.user.profile.birthdate = ADULT
        self.user.profile.save()

        assert self.start().status_code == 302

    def test_others_are_told_why_not_and_where_to_go(self):
        make_adult_character("vera")

        page = self.start()

        self.assertContains(page, "for adults", status_code=403)
        self.assertContains(page, 'href="/settings/profile"', status_code=403)
        assert not self.user.conversations.filter(character="vera").exists()

    def test_who_is_too_young_is_not_asked_for_a_birthdate(self):
        make_adult_character("vera")
        self.user.profile.edit(birthdate=date(2016, 5, 17))

        page = self.start()

        self.assertContains(page, "by your birthdate", status_code=403)
        self.assertNotContains(page, "Add a birthdate", status_code=403)
        self.assertNotContains(page, "Go to your profile", status_code=403)

    def test_it_sends_strangers_to_sign_in_and_back_to_the_character(self):
        make_character("vera")
        self.client.logout()

        assert self.start()["Location"] == "/accounts/login/?next=/characters/vera"

    def test_whoever_is_archived_is_not_found(self):
        make_character("vera", is_public=False)

        assert self.start().status_code == 404


class AccessTests(PageTestCase):
    def requests(self):
        """Yield what every address of a conversation is asked by."""
        say(self.conversation)
        reply = answer(self.conversation, status="stopped")
        ids = {
            "conversation": self.conversation.pk,
            "message": reply.pk,
            "stop_reply": reply.pk,
            "continue_reply": reply.pk,
            "regenerate_reply": reply.pk,
            "send_message": self.conversation.pk,
            "rename_conversation": self.conversation.pk,
            "pin_conversation": self.conversation.pk,
            "reset_conversation": self.conversation.pk,
            "delete_conversation": self.conversation.pk,
        }
        for name, pk in ids.items():
            method = "get" if name in ("conversation", "message") else "post"
            yield name, method, pk

    def test_charlie_finds_nothing_of_alice(self):
        self.client.force_login(charlie())
        body = {"content": "Hi", "title": "Mine"}

        for name, method, pk in self.requests():
            for headers in ({}, HTMX):
                for target in (pk, uuid.uuid4()):
                    with self.subTest(name, headers=headers):
                        answer = getattr(self.client, method)(
                            reverse(name, args=[target]), body, headers=headers
                        )
                        assert answer.status_code == 404
        self.conversation.refresh_from_db()
        assert self.conversation.title == ""
        assert self.conversation.messages.count() == 2
        assert self.client.get("/c/").context["conversations"] == []

    def test_strangers_are_sent_to_sign_in(self):
        self.client.logout()

        for name, method, pk in self.requests():
            with self.subTest(name):
                address = reverse(name, args=[pk])
                answer = getattr(self.client, method)(address)
                back = address if method == "get" else "/c/"
                self.assertRedirects(answer, f"/accounts/login/?next={back}")
                answer = getattr(self.client, method)(address, headers=HTMX)
                assert answer["HX-Redirect"] == "/accounts/login/?next=/c/"

    def test_a_page_cannot_be_led_into_another_conversation(self):
        theirs = say(make_conversation(charlie()), "Charlie's secret")

        for before in (theirs.pk, uuid.uuid4(), "nonsense"):
            with self.subTest(before):
                page = self.client.get(self.page, {"before": before})
                assert page.status_code == 404

    def test_what_changes_something_cannot_be_a_link(self):
        for name, method, pk in self.requests():
            if method == "post":
                with self.subTest(name):
                    answer = self.client.get(reverse(name, args=[pk]))
                    assert answer.status_code == 405


class ListTests(PageTestCase):
    def test_it_shows_pinned_ones_first_and_only_ones_own(self):
        make_conversation(self.user, title="Second")
        make_conversation(self.user, title="First", is_pinned=True)
        make_conversation(charlie(), title="Charlie's")

        shown = self.client.get("/c/").context["conversations"]

        assert [c.title for c in shown] == ["First", "Second", ""]

    def test_it_costs_the_same_however_many_there_are(self):
        talk(self.conversation, 1)
        self.client.get("/c/")

        with self.assertNumQueries(3):
            self.client.get("/c/")

        for _ in range(20):
            talk(make_conversation(self.user), 1)
        with self.assertNumQueries(3):
            self.client.get("/c/")

    def test_it_has_pages(self):
        for number in range(41):
            make_conversation(self.user, title=f"Number {number}")

        first = self.client.get("/c/")
        second = self.client.get("/c/", {"page": 2})

        assert len(first.context["conversations"]) == 40
        assert len(second.context["conversations"]) == 2
        self.assertContains(first, "?page=2")
        for odd in ("0", "-1", "x", "9" * 30):
            assert self.client.get("/c/", {"page": odd}).status_code == 200

    def test_it_says_that_there_is_none(self):
        self.client.force_login(charlie())

        self.assertContains(self.client.get("/c/"), "No conversations yet")


class ConversationTests(PageTestCase):
    def test_it_shows_the_branch_oldest_first(self):
        asked = say(self.conversation, "Which way?")
        answer(self.conversation, "Left.")
        answer(self.conversation, "Right.", parent=asked)
        say(self.conversation, "Thanks.")

        texts = [message.content for message in self.shown()]

        assert texts == ["Which way?", "Right.", "Thanks."]

    def test_replies_are_markdown_and_what_people_write_is_text(self):
        say(self.conversation, "**no** <script>alert(1)</script>")
        answer(self.conversation, "**yes** <script>alert(2)</script>")

        page = self.client.get(self.page)

        self.assertContains(page, "**no** &lt;script&gt;alert(1)")
        self.assertContains(page, "<strong>yes</strong> &lt;script&gt;alert(2)")

    def test_it_costs_the_same_however_long_it_is(self):
        talk(self.conversation, 2)
        self.client.get(self.page)

        with self.assertNumQueries(6):
            self.client.get(self.page)

        talk(self.conversation, 40)
        make_conversation(self.user)
        with self.assertNumQueries(6):
            self.client.get(self.page)

    def test_it_leads_to_earlier_messages(self):
        talk(self.conversation, SHOWN)

        newest = self.client.get(self.page)
        earlier = newest.context["history"].earlier
        older = self.client.get(self.page, {"before": earlier})

        self.assertContains(newest, f"?before={earlier}")
        assert len(newest.context["history"].messages) == SHOWN
        texts = [message.content for message in older.context["history"].messages]
        assert texts[0] == "user 0"
        assert texts[-1] == f"assistant {SHOWN - 1}"
        self.assertContains(older, "Back to the newest")
        self.assertNotContains(older, 'id="composer"')

    def test_htmx_gets_the_earlier_messages_alone(self):
        talk(self.conversation, SHOWN)
        earlier = self.client.get(self.page).context["history"].earlier

        part = self.client.get(self.page, {"before": earlier}, headers=HTMX)

        self.assertContains(part, 'id="message-', count=SHOWN)
        self.assertNotContains(part, "<html")

    def test_it_loads_itself_again_while_a_reply_is_written(self):
        say(self.conversation)
        answer(self.conversation, "So far", status="streaming")

        page = self.client.get(self.page)

        self.assertContains(page, '<noscript><meta http-equiv="refresh" content="2">')
        self.assertContains(page, "So far")
        self.assertContains(page, "/stop")

    def test_whose_conversation_it_is_not_looks_again_too_and_without_script_alone(
        self,
    ):
        say(self.conversation)
        reply = answer(self.conversation, "So far", status="streaming")
        self.client.force_login(ada())

        page = self.client.get(self.page)

        self.assertContains(page, "http-equiv", count=1)
        self.assertContains(page, '<noscript><meta http-equiv="refresh" content="5">')
        self.assertContains(page, f'data-poll="/m/{reply.pk}"')

    def test_it_rests_when_none_is(self):
        say(self.conversation)
        answer(self.conversation)

        self.assertNotContains(self.client.get(self.page), "http-equiv")

    def test_it_says_how_a_reply_ended_and_offers_what_can_be_done(self):
        def ending(status, **generation):
            conversation = make_conversation(self.user)
            say(conversation)
            answer(conversation, "Words", status, generation=generation)
            return self.client.get(f"/c/{conversation.pk}").content.decode()

        stopped = ending("stopped")
        interrupted = ending("interrupted", error_code="interrupted")
        failed = ending("failed", error_code="provider_timeout")
        cut = ending("complete", finish_reason="length")
        whole = ending("complete")

        assert "You stopped this reply." in stopped
        assert "The server stopped while this was being written." in interrupted
        assert "The model took too long to answer." in failed
        for page, can_continue in (
            *((stopped, True), (interrupted, True), (cut, True)),
            *((failed, False), (whole, False)),
        ):
            assert ("/continue" in page) is can_continue
            assert "/regenerate" in page

    def test_opening_it_means_having_read_it(self):
        say(self.conversation)
        answer(self.conversation)
        Conversation.objects.update(last_message_at="2100-01-01T00:00:00Z")
        assert Conversation.objects.with_unread().get().unread == 1

        self.client.get(self.page)

        assert Conversation.objects.with_unread().get().unread == 0

    def test_a_closed_one_can_be_read_and_begun_again(self):
        say(self.conversation, "Long ago")
        Conversation.objects.update(status="closed")

        page = self.client.get(self.page)

        self.assertContains(page, "Long ago")
        self.assertContains(page, "/characters/sage/start")
        self.assertNotContains(page, 'id="composer"')


class SendTests(PageTestCase):
    def test_it_stores_the_message_and_shows_the_reply(self):
        with scripted("Good", " evening."):
            sent = self.send("Hello")

        self.assertRedirects(sent, self.page)
        asked, reply = self.shown()
        assert (asked.role, asked.content) == ("user", "Hello")
        assert (reply.content, reply.status) == ("Good evening.", "complete")

    def test_a_form_sent_twice_is_one_message(self):
        number = self.client.get(self.page).context["client_id"]
        with scripted("Good evening.") as script:
            self.send("Hello", number)
            again = self.send("Hello", number)

        self.assertRedirects(again, self.page)
        assert len(self.shown()) == 2
        assert len(script.requests) == 1

    def test_what_is_refused_stays_in_the_form(self):
        say(self.conversation)
        answer(self.conversation, status="streaming")

        page = self.send("Not <now>?")

        self.assertContains(page, "A reply is still being written", status_code=409)
        self.assertContains(page, ">Not &lt;now&gt;?</textarea>", status_code=409)
        assert len(page.context["history"].messages) == 2

    def test_nothing_is_refused_in_words(self):
        self.assertContains(self.send("  \n"), "Write something", status_code=400)

    @override_settings(CHAT_RATE="1/h")
    def test_too_many_are_told_when_to_go_on(self):
        with scripted("Good evening."):
            self.send("One")
        page = self.send("Two")

        self.assertContains(page, ">Two</textarea>", status_code=429)
        assert 0 < int(page["Retry-After"]) <= 3600

    def test_htmx_gets_what_is_new(self):
        with mock.patch("conversations.generations.start"):
            part = self.send("Hello", "one", headers=HTMX)

        self.assertContains(part, '<hx-partial hx-target="#messages"', count=2)
        self.assertContains(part, 'data-client-id="one"')
        self.assertContains(part, 'data-status="streaming"')
        self.assertNotContains(part, "<html")

    def test_htmx_is_told_why_not_and_which(self):
        part = self.send(" ", "one", headers=HTMX)

        self.assertContains(part, "Write something", status_code=400)
        self.assertContains(part, 'hx-target="#composer-error"', status_code=400)
        self.assertContains(part, 'data-client-id="one"', status_code=400)


class ReplyTests(PageTestCase):
    def reply(self, status="complete", content="So far", **fields):
        say(self.conversation)
        return answer(self.conversation, content, status, **fields)

    def post(self, reply, action, **extra):
        return self.client.post(f"/m/{reply.pk}/{action}", **extra)

    def test_stopping_asks_for_the_end_and_comes_back(self):
        reply = self.reply("streaming")

        with mock.patch("conversations.turns.stop") as stop:
            self.assertRedirects(self.post(reply, "stop"), self.page)

        stop.assert_called_once_with(self.user, reply.pk)

    def test_stopping_what_has_ended_changes_nothing(self):
        reply = self.reply()

        self.assertRedirects(self.post(reply, "stop"), self.page)

        reply.refresh_from_db()
        assert reply.status == "complete"

    def test_continuing_goes_on_where_it_broke_off(self):
        reply = self.reply("interrupted", "Once upon")

        with scripted(" a time."):
            self.assertRedirects(self.post(reply, "continue"), self.page)

        reply.refresh_from_db()
        assert (reply.content, reply.status) == ("Once upon a time.", "complete")

    def test_a_whole_reply_cannot_be_continued(self):
        page = self.post(self.reply(), "continue")

        self.assertContains(page, "cut short can be continued", status_code=409)

    def test_regenerating_shows_another_reply_in_its_place(self):
        reply = self.reply()

        with scripted("Better."):
            self.assertRedirects(self.post(reply, "regenerate"), self.page)

        assert [m.content for m in self.shown()] == ["Hello", "Better."]
        assert Message.objects.filter(pk=reply.pk).exists()

    def test_htmx_gets_the_reply_as_it_is_now(self):
        reply = self.reply("stopped")

        with mock.patch("conversations.generations.start"):
            part = self.post(reply, "continue", headers=HTMX)

        self.assertContains(part, f'id="message-{reply.pk}"')
        self.assertContains(part, 'data-status="streaming"')

    def test_a_reply_can_be_polled_for(self):
        reply = self.reply("streaming", "# So far\n\nand")

        part = self.client.get(f"/m/{reply.pk}")

        self.assertContains(part, f'id="message-{reply.pk}-done"><h1>So far</h1>')
        self.assertContains(part, f'id="message-{reply.pk}-open"><p>and</p>')
        self.assertContains(part, f'data-poll="/m/{reply.pk}"')

    def test_no_live_region_announces_words_as_they_come(self):
        reply = self.reply("streaming")

        part = self.client.get(f"/m/{reply.pk}").content.decode()

        assert 'aria-busy="true"' in part
        before_text = part[: part.index(f'id="message-{reply.pk}-done"')]
        assert before_text.rstrip().endswith('<div class="done"')
        assert '<div class="message-text prose" aria-live="off">' in before_text


class MenuTests(PageTestCase):
    def post(self, action, **body):
        return self.client.post(f"{self.page}/{action}", body)

    def test_renaming_keeps_one_line(self):
        self.assertRedirects(self.post("rename", title=" A \n title  "), self.page)

        self.conversation.refresh_from_db()
        assert self.conversation.title == "A title"

    def test_a_title_has_its_limit(self):
        self.post("rename", title="x" * 500)

        self.conversation.refresh_from_db()
        assert len(self.conversation.title) == 200

    def test_pinning_and_unpinning(self):
        for is_pinned in (True, False):
            self.assertRedirects(self.post("pin"), self.page)
            self.conversation.refresh_from_db()
            assert self.conversation.is_pinned is is_pinned

    def test_starting_again_closes_it_and_opens_another(self):
        say(self.conversation)

        answer = self.post("reset")

        fresh = self.user.conversations.get(status="open")
        self.assertRedirects(answer, f"/c/{fresh.pk}")
        assert fresh.character_id == self.conversation.character_id
        self.conversation.refresh_from_db()
        assert self.conversation.status == "closed"

    def test_deleting_takes_its_messages_with_it(self):
        talk(self.conversation, 3)

        self.assertRedirects(self.post("delete"), "/c/")

        assert not Conversation.objects.exists()
        assert not Message.objects.exists()

    def test_a_conversation_is_named_after_what_was_said_first(self):
        turns.open(self.user, self.conversation.pk, "Why is the sea salt?")

        self.assertContains(self.client.get("/c/"), "Why is the sea salt?")
