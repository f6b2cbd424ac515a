"""What a person wrote goes with the account, in transactions that stay small."""

from datetime import timedelta

from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from accounts.data import deletion
from accounts.models import User
from accounts.tests.factories import ada, alice, bob
from conversations import holdings, retention
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
        talk(conversation, retention.CHUNK)

        self.assertTrue(holdings.delete_some(self.alice))

        self.assertEqual(Message.objects.count(), retention.CHUNK)
        self.assertEqual(Conversation.objects.get().head_id, None)
        self.assertTrue(deletion.carry_out(self.alice))
        self.assertFalse(Message.objects.exists())


class AdminPageTests(TestCase):
    def setUp(self):
        self.alice = alice()
        talk(make_conversation(self.alice, title="About whales"), 600)
        make_conversation(self.alice)
        self.client.force_login(ada())

    def pages(self):
        yield self.client.get(
            reverse("admin:accounts_user_delete", args=[self.alice.pk])
        )
        chosen = {"action": "delete_selected", "_selected_action": [str(self.alice.pk)]}
        yield self.client.post(reverse("admin:accounts_user_changelist"), chosen)

    def test_it_counts_messages_and_lists_none(self):
        for page in self.pages():
            self.assertContains(page, "Conversations: 2")
            self.assertContains(page, "Messages: 1200")
            self.assertContains(page, "alice@example.com")
            self.assertNotContains(page, "About whales")
            self.assertLess(len(page.content), 20_000)

    def test_it_deletes_none_in_the_request(self):
        path = reverse("admin:accounts_user_delete", args=[self.alice.pk])

        self.assertEqual(self.client.post(path, {"post": "yes"}).status_code, 302)

        self.assertEqual(Message.objects.count(), 1200)
        self.assertEqual(deletion.sweep(), 1)
        self.assertFalse(Message.objects.exists())
