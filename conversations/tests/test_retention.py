"""RETENTION_DAYS: what is closed and quiet goes, everything else stays."""

from datetime import timedelta
from unittest import mock

from django.test import TestCase, override_settings
from django.utils import timezone

from accounts import chores
from accounts.tests.factories import alice
from conversations import retention
from conversations.models import Conversation, Message
from conversations.tests.factories import make_conversation, talk


class RetentionTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = alice()

    def conversation(self, *, days: int, status: str = "closed") -> Conversation:
        conversation = make_conversation(self.user)
        talk(conversation, turns=3)
        Conversation.objects.filter(pk=conversation.pk).update(
            status=status, last_message_at=timezone.now() - timedelta(days=days)
        )
        return conversation

    @override_settings(RETENTION_DAYS=30)
    def test_what_is_closed_and_quiet_for_so_long_goes_with_all_its_messages(self):
        old = self.conversation(days=31)
        kept = [
            self.conversation(days=29),
            self.conversation(days=400, status="open"),
        ]

        with mock.patch.object(retention, "CHUNK", 2):
            chores.sweep()

        self.assertCountEqual(Conversation.objects.all(), kept)
        self.assertFalse(Message.objects.filter(conversation_id=old.pk).exists())
        self.assertEqual(kept[0].messages.count(), 6)

    def test_everything_stays_by_default(self):
        self.conversation(days=4000)

        self.assertEqual(retention.sweep(), 0)
        self.assertEqual(Conversation.objects.count(), 1)
