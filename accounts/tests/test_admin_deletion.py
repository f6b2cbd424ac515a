"""Deleting accounts at the admin site: closed at once, deleted in the background."""

from functools import partial
from pathlib import Path

from django.contrib.admin.models import DELETION, LogEntry
from django.core.files.base import ContentFile
from django.db import connection
from django.test import TransactionTestCase
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.data import deletion
from accounts.errors import LastAdmin, OwnAccount
from accounts.models import AuditEvent, Export, Session, User
from accounts.signals import sessions_ended
from accounts.tests.cases import JsonTestCase
from accounts.tests.factories import PASSWORD, ada, alice, bearer, bob, sofia
from accounts.tests.races import at_once

LIST = reverse("admin:accounts_user_changelist")


def page_of(user: User) -> str:
    return reverse("admin:accounts_user_delete", args=[user.pk])


class AdminDeletionTests(JsonTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ada = ada()
        cls.alice = alice()
        cls.bob = bob()

    def setUp(self):
        self.client.force_login(self.ada)

    def delete(self, user, **options):
        return self.client.post(page_of(user), {"post": "yes"}, **options)

    def choose(self, *users, **given):
        chosen = {"_selected_action": [str(user.pk) for user in users]}
        asked = {"action": "delete_selected"} | chosen | given
        return self.client.post(LIST, asked, follow=True)

    def left(self) -> set[str]:
        return set(User.objects.values_list("email", flat=True))

    def test_it_closes_the_account_at_once_and_the_chores_delete_it(self):
        token = bearer(self.alice)

        response = self.delete(self.alice, follow=True)

        self.assertContains(response, "deleted in the background")
        self.assertFalse(self.can_use(token))
        self.assertFalse(Session.objects.filter(revoked_at=None).exists())
        self.assert_refused(self.login(), 401, "invalid_credentials")
        self.assertTrue(User.objects.filter(pk=self.alice.pk).exists())
        deletion.sweep()
        self.assertEqual(self.left(), {"ada@example.com", "bob@example.com"})

    def test_it_stops_what_is_being_written(self):
        heard = []

        def hear(**signal):
            heard.append((signal["user_id"], signal["credentials"]))

        sessions_ended.connect(hear)
        self.addCleanup(sessions_ended.disconnect, hear)

        with self.captureOnCommitCallbacks(execute=True):
            self.delete(self.alice)

        self.assertIn((self.alice.pk, None), heard)

    def test_it_removes_the_files(self):
        self.alice.profile.avatar.save("a.webp", ContentFile(b"picture"))
        export = Export.objects.create(user=self.alice, status="ready")
        export.file.save("a.zip", ContentFile(b"everything"))
        files = [Path(self.alice.profile.avatar.path), Path(export.file.path)]

        self.delete(self.alice)
        deletion.sweep()

        self.assertFalse(any(file.exists() for file in files))

    def test_it_records_who_deleted_whom(self):
        self.delete(self.alice)
        deletion.sweep()

        asked, gone = AuditEvent.objects.filter(
            object_type="user", object_id=str(self.alice.pk)
        ).order_by("at")
        self.assertEqual(asked.action, "account.deletion_asked")
        self.assertEqual(asked.actor, self.ada)
        self.assertEqual(asked.details["via"], "admin site")
        self.assertEqual((gone.action, gone.actor), ("account.deleted", None))
        entry = LogEntry.objects.get(action_flag=DELETION)
        self.assertEqual(entry.object_repr, "alice@example.com")

    def test_it_deletes_several(self):
        asked = self.choose(self.alice, self.bob)
        self.assertContains(asked, "alice@example.com")
        self.assertEqual(len(self.left()), 3)

        done = self.choose(self.alice, self.bob, post="yes")

        self.assertContains(done, "2 accounts")
        self.assertFalse(User.objects.filter(role="worker", is_active=True).exists())
        deletion.sweep()
        self.assertEqual(self.left(), {"ada@example.com"})

    def test_it_asks_with_numbers_and_no_list_of_what_is_in_it(self):
        for _ in range(3):
            bearer(self.alice)

        for page in (self.client.get(page_of(self.alice)), self.choose(self.alice)):
            self.assertContains(page, "API sessions: 3")
            self.assertNotContains(page, "unknown device")

    def test_it_asks_with_as_few_queries_however_much_there_is(self):
        bearer(self.alice)
        self.client.get(page_of(self.alice))
        with CaptureQueriesContext(connection) as few:
            self.client.get(page_of(self.alice))
        for _ in range(20):
            bearer(self.alice)

        with self.assertNumQueries(len(few)):
            self.client.get(page_of(self.alice))

    def test_nobody_deletes_their_own_account_among_others(self):
        for given in ({}, {"post": "yes"}):
            response = self.choose(self.alice, self.ada, **given)
            self.assertContains(response, str(OwnAccount.detail))
        self.assertFalse(User.objects.filter(delete_at__isnull=False).exists())
        self.assertFalse(LogEntry.objects.exists())

    def test_nobody_deletes_the_last_administrator(self):
        # She deleted herself in another tab, and this one has not noticed.
        other = sofia(role=User.Role.ADMIN)
        User.objects.filter(pk=self.ada.pk).update(is_active=False)

        with self.assertRaises(LastAdmin):
            deletion.remove(other, actor=self.ada, via="admin site")

        other.refresh_from_db()
        self.assertIsNone(other.delete_at)

    def test_it_says_why_one_account_is_not_deleted(self):
        self.addCleanup(setattr, deletion, "_is_last_admin", deletion._is_last_admin)
        deletion._is_last_admin = lambda user: True

        response = self.delete(self.alice, follow=True)

        self.assertContains(response, str(LastAdmin.detail))
        self.assertFalse(LogEntry.objects.exists())

    def test_it_deletes_who_wanted_to_leave_later_now(self):
        self.client.logout()
        token = bearer(self.alice)
        self.client.delete(
            "/api/v1/me",
            {"password": PASSWORD},
            content_type="application/json",
            HTTP_AUTHORIZATION=f"Bearer {token}",
        )
        self.client.force_login(self.ada)

        self.delete(self.alice)

        self.assertEqual(deletion.sweep(), 1)

    def test_it_is_for_administrators_alone(self):
        self.client.force_login(self.alice)

        for answer in (self.delete(self.bob), self.client.get(page_of(self.bob))):
            self.assertIn(answer.status_code, (302, 403))
        self.assertFalse(User.objects.filter(delete_at__isnull=False).exists())


class RaceTests(TransactionTestCase):
    def test_of_two_administrators_who_delete_one_another_one_stays(self):
        for _ in range(5):
            admins = [ada(), bob(role=User.Role.ADMIN)]
            alice()

            at_once(
                [
                    partial(deletion.remove, user, actor=actor, via="admin site")
                    for user, actor in (admins, reversed(admins))
                ]
            )

            left = User.objects.filter(role="admin", is_active=True)
            self.assertEqual(left.count(), 1)
            User.objects.all().delete()
