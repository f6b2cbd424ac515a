import uuid
from datetime import timedelta
from unittest import skipUnless

from django.db import connection, models, transaction
from django.test import TestCase
from django.utils import timezone

from accounts.authentication import liveness
from accounts.models import Profile, Session, User
from accounts.tests.factories import alice, bob
from conversations.models import Message
from conversations.tests.factories import make_conversation, say
from database.rows import Given, Select, insert, update


class SelectTests(TestCase):
    def setUp(self):
        self.alice, self.bob = alice(), bob()
        self.builds = 0

    def by_email(self):
        def build():
            self.builds += 1
            email = Given("email", models.CharField())
            users = User.objects.filter(email=email, is_active=True)
            return users.select_related("profile", "plan")

        return Select(build)

    def test_finds_the_row_of_each_call_and_is_put_together_once(self):
        select = self.by_email()
        for user in (self.alice, self.bob, self.alice):
            self.assertEqual(select.first(email=user.email), user)
        self.assertEqual(self.builds, 1)

    def test_one_query_brings_the_related_objects(self):
        with self.assertNumQueries(1):
            found = self.by_email().first(email=self.alice.email)
            self.assertEqual(found.profile, self.alice.profile)
            self.assertEqual(found.profile.user, self.alice)
            self.assertIsNone(found.plan)

    def test_is_none_where_there_is_no_row(self):
        self.assertIsNone(self.by_email().first(email="nobody@example.org"))

    def test_a_value_is_a_value_and_never_sql(self):
        self.assertIsNone(self.by_email().first(email="' OR 1=1 --"))

    def test_every_type_comes_back_as_the_orm_brings_it(self):
        conversation = make_conversation(self.alice)
        message = say(conversation, media_urls=["a", {"b": 1}])
        select = Select(
            lambda: Message.objects.filter(pk=Given("id", models.UUIDField()))
        )
        found, expected = select.first(id=message.pk), Message.objects.get()
        for field in Message._meta.concrete_fields:
            value = getattr(expected, field.attname)
            with self.subTest(field.name):
                self.assertEqual(getattr(found, field.attname), value)
                self.assertIs(type(getattr(found, field.attname)), type(value))

    def test_what_was_left_out_is_read_when_it_is_asked_for(self):
        given = Given("id", models.UUIDField())
        select = Select(lambda: Profile.objects.filter(user=given).only("language"))
        found = select.first(id=self.alice.pk)
        self.assertIn("birthdate", found.get_deferred_fields())
        self.assertEqual(found.birthdate, self.alice.profile.birthdate)

    def test_an_unnamed_value_is_an_error(self):
        with self.assertRaises(KeyError):
            self.by_email().first()

    @skipUnless(connection.vendor == "postgresql", "SQLite locks whole databases")
    def test_locks_where_the_queryset_does(self):
        given = Given("id", models.UUIDField())
        select = Select(
            lambda: User.objects.filter(pk=given).order_by().select_for_update()
        )
        with transaction.atomic(), self.assertNumQueries(1) as queries:
            select.first(id=self.alice.pk)
        self.assertIn("FOR UPDATE", queries[0]["sql"])


class TimeTests(TestCase):
    """What a statement that is put together once must not keep: the time."""

    def test_a_session_that_expires_later_is_not_live_any_more(self):
        user = alice()
        session = Session.objects.create(user=user)
        self.assertEqual(liveness.api_user(session.pk), user)
        session.expires_at = timezone.now()
        session.save()
        self.assertIsNone(liveness.api_user(session.pk))
        session.expires_at += timedelta(hours=1)
        session.save()
        self.assertEqual(liveness.api_user(session.pk), user)


class WriteTests(TestCase):
    def setUp(self):
        self.conversation = make_conversation(alice())

    def message(self, **fields):
        return Message(
            conversation=self.conversation, role="user", status="sent", **fields
        )

    def test_inserts_rows_as_the_orm_would(self):
        rows = [self.message(content=text, media_urls=[text]) for text in ("a", "é")]
        with self.assertNumQueries(1):
            insert(*rows)
        for row in rows:
            stored = Message.objects.get(pk=row.pk)
            for field in Message._meta.concrete_fields:
                name = field.attname
                self.assertEqual(getattr(stored, name), getattr(row, name), name)
        rows[0].content = "b"
        rows[0].save()  # an update: the row is known to be stored
        self.assertEqual(Message.objects.count(), 2)

    def test_updates_only_the_rows_that_equal_and_says_how_many(self):
        rows = [self.message(content="a"), self.message(content="b")]
        insert(*rows)
        where = {"id": rows[0].pk, "content": "a"}
        self.assertEqual(update(Message, where, {"status": "read"}), 1)
        self.assertEqual(
            update(Message, {"id": uuid.uuid4()}, {"status": "delivered"}), 0
        )
        statuses = dict(Message.objects.values_list("pk", "status"))
        self.assertEqual(statuses, {rows[0].pk: "read", rows[1].pk: "sent"})
