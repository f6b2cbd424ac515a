"""How many statements a turn and a list take, and that history does not change it."""

from unittest import mock

from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from accounts.authentication.bearer import session_of
from accounts.tests.factories import alice, bearer
from conversations import checkpoints, generations, turns
from conversations.models import Message
from conversations.tests.factories import answer, make_conversation, say, talk
from llm.testing import scripted

#: Statements of `turns.open`, beside the begin and the end of its transaction: lock the
#: conversation, read the history, reserve, insert two messages, insert the generation,
#: update the conversation.
OPEN = 6


def statements(captured):
    """Return what was executed, without begin, commit and savepoints."""
    control = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    return [q["sql"] for q in captured if not q["sql"].startswith(control)]


class TurnCostTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.token = bearer(alice())

    def setUp(self):
        self.user = session_of(self.token).user
        self.conversation = make_conversation(self.user)
        # The first turn of a day also makes the row that counts its units.
        turns.open(self.user, make_conversation(self.user).pk, "Good morning")

    def cost(self, call, *args, **kwargs):
        with CaptureQueriesContext(connection) as captured:
            result = call(*args, **kwargs)
        return len(statements(captured.captured_queries)), result

    def test_it_opens_a_turn_in_six_statements(self):
        talk(self.conversation, turns=5)

        count, turn = self.cost(
            turns.open, self.user, self.conversation.pk, "Hello", client_id="one"
        )

        assert count == OPEN
        assert len(turn.history) == 11

    def test_it_opens_a_turn_at_the_same_cost_after_any_history(self):
        talk(self.conversation, turns=250)
        long = make_conversation(self.user)
        talk(long, turns=5)

        for conversation in (self.conversation, long):
            count, turn = self.cost(turns.open, self.user, conversation.pk, "Hello")
            assert count == OPEN
            assert len(turn.history) <= turns.CONTEXT_MESSAGES + 1

    def test_it_needs_no_statement_to_build_the_prompt(self):
        talk(self.conversation, turns=5)
        turn = turns.open(self.user, self.conversation.pk, "Hello")
        choice = mock.Mock(
            context_tokens=8192, max_output_tokens=100, label="x", temperature=None
        )

        with self.assertNumQueries(0):
            generations._Run(turn)._build_prompt(choice)

    def test_it_saves_any_number_of_replies_in_as_many_statements(self):
        replies = [
            answer(make_conversation(self.user), "", "streaming") for _ in range(20)
        ]
        points = [checkpoints.Checkpoint(r.pk, "x", "0,1", "m", 1) for r in replies]

        one, _ = self.cost(checkpoints.save, points[:1], [replies[0].pk])
        twenty, _ = self.cost(checkpoints.save, points, [r.pk for r in replies])

        # Two statements a reply where the database takes one row at a time.
        assert twenty - one in (0, 2 * 19)
        assert Message.objects.filter(content="x").count() == 20

    def test_it_settles_in_a_few_statements(self):
        with scripted("Good", " day"), CaptureQueriesContext(connection) as captured:
            turn = turns.open(self.user, self.conversation.pk, "Hello")
            opened = len(statements(captured.captured_queries))
            generations.start(turn)
            settled = len(statements(captured.captured_queries)) - opened

        # The conversation, the message answered, the reply, the record, the day, the
        # generation.
        assert settled == 6


class ListCostTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = alice()
        cls.headers = {"HTTP_AUTHORIZATION": f"Bearer {bearer(cls.user)}"}
        cls.conversation = make_conversation(cls.user)
        say(cls.conversation)
        answer(cls.conversation)

    def get(self, path):
        return self.client.get(f"/api/v1{path}", **self.headers).json()["results"]

    def test_it_lists_conversations_in_three_queries(self):
        with self.assertNumQueries(3):
            self.get("/conversations")
        for _ in range(20):
            answer(make_conversation(self.user))
        with self.assertNumQueries(3):
            assert len(self.get("/conversations")) == 21

    def test_it_lists_messages_in_four_queries(self):
        path = f"/conversations/{self.conversation.pk}/messages"
        with self.assertNumQueries(4):
            self.get(path)
        talk(self.conversation, turns=60)
        with self.assertNumQueries(4):
            assert len(self.get(f"{path}?limit=100")) == 100

    def test_it_lists_the_default_conversation_in_four_queries(self):
        default = make_conversation(self.user, is_default=True)
        talk(default, turns=3)
        with self.assertNumQueries(4):
            assert len(self.get("/chat/history")) == 6
        talk(default, turns=30)
        with self.assertNumQueries(4):
            assert len(self.get("/chat/history?limit=40")) == 40
