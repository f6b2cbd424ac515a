"""What a person wrote goes with the account, in transactions that stay small."""

from datetime import timedelta

from django.test import TestCase
from django.utils import timezone

from accounts.data import deletion
from accounts.models import User
from accounts.tests.factories import alice, bob
from conversations import holdings
from conversations.models import Conversation, Generation, Message
from conversations.tests.factories import answer, make_conversation, say, talk


class DeletionTests(TestCase):
    def setUp(self):
        self.alice = alice(delete_at=timezone.now() - timedelta(seconds=1))

    def test_it_deletes_everything_of_hers_and_nothing_of_bobs(self):
        mine = make_conversation(self.alice)
        talk(mine, 10)
        quoted = say(mine)
        answer(mine, parent=quoted, reply_to=quoted)
        answer(mine, parent=quoted, status="streaming")
        make_conversation(self.alice)
        bobs = make_conversation(bob())
        talk(bobs, 3)

        self.assertTrue(deletion.carry_out(self.alice))

        self.assertEqual(
            list(User.objects.values_list("email")), [("bob@example.com",)]
        )
        self.assertEqual(list(Conversation.objects.all()), [bobs])
        self.assertEqual(Message.objects.count(), 6)
        self.assertEqual(Generation.objects.count(), 3)

    def test_a_long_branch_is_deleted_in_pieces(self):
        conversation = make_conversation(self.alice)
        talk(conversation, holdings.CHUNK)

        self.assertTrue(holdings.delete_some(self.alice))

        self.assertEqual(Message.objects.count(), holdings.CHUNK)
        self.assertEqual(Conversation.objects.get().head_id, None)
        self.assertTrue(deletion.carry_out(self.alice))
        self.assertFalse(Message.objects.exists())
