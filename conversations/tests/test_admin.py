"""Conversations on the admin site: read and deleted, and nothing of them in its log."""

from django.contrib.admin.models import LogEntry
from django.test import TestCase

from accounts.models import AuditEvent
from accounts.tests.factories import ada, alice
from conversations.models import Conversation, Message
from conversations.tests.factories import answer, make_conversation, say, talk
from llm.models import DailyUsage

SECRET = "Between the two of us"


class ConversationAdminTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ada, cls.alice = ada(), alice()
        cls.conversation = make_conversation(cls.alice, title=SECRET)
        cls.said = say(cls.conversation, SECRET)

    def setUp(self):
        self.client.force_login(self.ada)
        self.lists = "/admin/conversations/conversation/"

    def test_lists_show_nothing_of_what_was_said(self):
        for kind in ("conversation", "message"):
            page = self.client.get(f"/admin/conversations/{kind}/")
            assert page.status_code == 200
            self.assertNotContains(page, SECRET)
        assert not AuditEvent.objects.exists()

    def test_nobody_looks_for_words(self):
        found = self.client.get(f"{self.lists}?q=Between")
        self.assertNotContains(found, str(self.conversation.pk))

    def test_deleting_one_is_recorded_without_a_word(self):
        page = self.client.get(f"{self.lists}{self.conversation.pk}/delete/")
        self.assertNotContains(page, SECRET)
        self.client.post(f"{self.lists}{self.conversation.pk}/delete/", {"post": "yes"})

        assert not Conversation.objects.exists()
        event = AuditEvent.objects.get(action="conversation.deleted")
        assert event.actor == self.ada
        assert event.object_id == str(self.conversation.pk)
        assert event.details == {"owner": str(self.alice.pk), "via": "admin site"}
        assert SECRET not in str(list(LogEntry.objects.values()))

    def test_several_are_deleted_however_long_they_are(self):
        other = make_conversation(self.alice)
        talk(other, 600)  # Django would follow its messages one inside the other
        self.client.post(
            self.lists,
            {
                "action": "delete_selected",
                "_selected_action": [str(other.pk), str(self.conversation.pk)],
                "post": "yes",
            },
        )

        assert not Conversation.objects.exists()
        assert not Message.objects.exists()
        deleted = AuditEvent.objects.filter(action="conversation.deleted")
        assert deleted.count() == 2

    def test_a_reply_that_is_being_written_is_charged(self):
        reply = answer(
            self.conversation,
            "Some words",
            "streaming",
            generation={
                "reserved_units": 100,
                "run_prompt_tokens": 5,
                "lengths": "0,10",
            },
        )
        day = reply.generation.usage_date
        DailyUsage.objects.create(user=self.alice, date=day, reserved=100)

        self.client.post(f"{self.lists}{self.conversation.pk}/delete/", {"post": "yes"})

        usage = DailyUsage.objects.get()
        assert usage.reserved == 0
        assert usage.used > 0

    def test_a_message_is_not_deleted_by_hand(self):
        address = f"/admin/conversations/message/{self.said.pk}/delete/"
        assert self.client.post(address, {"post": "yes"}).status_code == 403
        assert Message.objects.filter(pk=self.said.pk).exists()
