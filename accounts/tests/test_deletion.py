"""The end of an account: asked for, taken back, carried out."""

import time
from datetime import timedelta
from pathlib import Path
from unittest import mock

from django.conf import settings
from django.core import mail
from django.core.files.base import ContentFile
from django.test import TestCase, TransactionTestCase, override_settings
from django.utils import timezone

from accounts import chores
from accounts.data import deletion
from accounts.errors import LastAdmin
from accounts.models import AuditEvent, Export, Session, User
from accounts.tests.cases import ME, JsonTestCase
from accounts.tests.factories import PASSWORD, ada, alice, auth, bearer, bob, change
from accounts.tests.races import at_once

PAGE = "/settings/data"


def overdue(user: User) -> User:
    """Let the days of grace of `user` be over."""
    user.delete_at = timezone.now() - timedelta(seconds=1)
    user.save(update_fields=["delete_at"])
    return user


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("at").values_list("action", flat=True))


class AskingTests(JsonTestCase):
    def setUp(self):
        self.alice = alice()

    def ask(self, password=PASSWORD):
        return self.client.delete(
            ME,
            {"password": password},
            content_type="application/json",
            **auth(self.alice),
        )

    def test_it_says_when_the_account_goes(self):
        response = self.ask()

        self.alice.refresh_from_db()
        days = timedelta(days=settings.DELETION_GRACE_DAYS)
        self.assertEqual(response.status_code, 202)
        self.assertAlmostEqual(
            self.alice.delete_at, timezone.now() + days, delta=timedelta(minutes=1)
        )
        answered = response.json()["delete_at"][:19]
        self.assertEqual(answered, self.alice.delete_at.isoformat()[:19])
        self.assertEqual(actions(), ["account.deletion_asked"])
        self.assertIs(response.json()["is_final"], False)

    def test_it_signs_the_person_out_everywhere(self):
        elsewhere = bearer(self.alice)
        self.client.force_login(self.alice)

        self.ask()

        self.assertFalse(Session.objects.live().filter(user=self.alice).exists())
        self.assertFalse(self.can_use(elsewhere))
        self.assertEqual(self.client.get(PAGE).status_code, 302)

    def test_it_confirms_by_mail_in_the_persons_language(self):
        self.alice.profile.edit(language="es")

        with self.captureOnCommitCallbacks(execute=True):
            self.ask()

        (message,) = mail.outbox
        self.assertEqual(message.to, ["alice@example.com"])
        self.assertIn(settings.PUBLIC_URL, message.body)
        self.alice.refresh_from_db()
        self.assertIn(str(self.alice.delete_at.year), message.body)

    def test_signing_in_over_the_api_keeps_the_account(self):
        self.ask()

        self.assertEqual(self.login().status_code, 200)

        self.alice.refresh_from_db()
        self.assertIsNone(self.alice.delete_at)
        self.assertIn("account.kept", actions())

    def test_a_wrong_password_keeps_nothing(self):
        self.ask()

        self.login(password="not it")

        self.alice.refresh_from_db()
        self.assertIsNotNone(self.alice.delete_at)


class MeanwhileTests(TestCase):
    def test_who_is_shut_out_while_they_ask_stays_out(self):
        stale = alice()
        User.objects.filter(pk=stale.pk).update(is_active=False)

        deletion.ask(stale)

        self.assertFalse(User.objects.get(pk=stale.pk).is_active)

    def test_signing_in_too_late_keeps_nothing(self):
        user = overdue(alice())

        self.assertFalse(deletion.keep(user))

        self.assertIsNotNone(User.objects.get(pk=user.pk).delete_at)

    def test_one_that_cannot_be_deleted_keeps_nobody_else(self):
        overdue(alice())
        overdue(bob())
        delete = User.delete

        def broken(user, *args):
            if user.email.startswith("alice"):
                raise ZeroDivisionError
            return delete(user, *args)

        with (
            mock.patch.object(User, "delete", broken),
            self.assertLogs("tertulia.app", "ERROR"),
        ):
            self.assertEqual(deletion.sweep(), 1)

        self.assertEqual(User.objects.get().email, "alice@example.com")

    def test_one_sweep_that_fails_keeps_no_other_from_its_work(self):
        overdue(alice())
        broken = mock.Mock(side_effect=ZeroDivisionError, __module__="x")
        with (
            mock.patch.object(chores, "_sweeps", [broken, *chores._sweeps]),
            self.assertLogs("tertulia.app", "ERROR"),
        ):
            chores.sweep()

        self.assertFalse(User.objects.exists())


@override_settings(DELETION_GRACE_DAYS=0)
class WithoutGraceTests(JsonTestCase):
    def setUp(self):
        self.alice = alice()
        self.token = bearer(self.alice)

    def ask(self):
        return self.client.delete(
            ME,
            {"password": PASSWORD},
            content_type="application/json",
            HTTP_AUTHORIZATION=f"Bearer {self.token}",
        )

    def test_it_is_left_to_the_chores_however_much_there_is(self):
        with self.captureOnCommitCallbacks(execute=True):
            response = self.ask()

        self.assertEqual(response.status_code, 202)
        self.assertIs(response.json()["is_final"], True)
        self.assertTrue(User.objects.exists())
        chores.sweep()
        self.assertFalse(User.objects.exists())
        self.assertEqual(actions(), ["account.deletion_asked", "account.deleted"])

    def test_it_writes_that_nobody_comes_back(self):
        with self.captureOnCommitCallbacks(execute=True):
            self.ask()

        (message,) = mail.outbox
        self.assertIn("It is closed", message.body)
        self.assertNotIn("Sign in", message.body)

    def test_the_person_is_out_at_once_and_cannot_come_back(self):
        self.ask()

        self.assertFalse(self.can_use(self.token))
        self.assert_refused(self.login(), 401, "invalid_credentials")
        self.client.post(
            "/accounts/login/", {"login": self.alice.email, "password": PASSWORD}
        )
        self.assertEqual(self.client.get(PAGE).status_code, 302)
        self.assertEqual(deletion.sweep(), 1)

    def test_the_page_says_so(self):
        self.client.force_login(self.alice)
        self.assertContains(self.client.get(PAGE), "nobody can sign in")

        response = self.client.post(
            f"{PAGE}/delete", {"password": PASSWORD}, follow=True
        )

        self.assertContains(response, "signed out for good")
        self.assertTrue(User.objects.exists())

    def test_it_keeps_the_only_administrator_open(self):
        change(self.alice, role=User.Role.ADMIN)
        bob()
        self.token = bearer(self.alice)

        self.assert_refused(self.ask(), 409, "last_admin")

        self.assertTrue(self.can_use(self.token))


class PageTests(TestCase):
    def setUp(self):
        self.alice = alice()
        self.client.force_login(self.alice)

    def ask(self, password=PASSWORD):
        return self.client.post(f"{PAGE}/delete", {"password": password}, follow=True)

    def test_it_signs_out_and_says_until_when_one_can_come_back(self):
        response = self.ask()

        self.assertRedirects(response, "/accounts/login/")
        self.assertContains(response, "sign in before then to keep it")
        self.alice.refresh_from_db()
        self.assertIsNotNone(self.alice.delete_at)

    def test_signing_in_keeps_the_account_and_says_so(self):
        self.ask()

        response = self.client.post(
            "/accounts/login/",
            {"login": self.alice.email, "password": PASSWORD},
            follow=True,
        )

        self.assertContains(response, "your account is kept")
        self.alice.refresh_from_db()
        self.assertIsNone(self.alice.delete_at)

    def test_it_wants_the_password(self):
        response = self.ask("not it")

        self.assertEqual(response.status_code, 422)
        self.assertContains(response, "not your current password", status_code=422)
        self.alice.refresh_from_db()
        self.assertIsNone(self.alice.delete_at)

    def test_it_does_not_let_the_password_be_guessed(self):
        for _ in range(5):
            self.ask("not it")

        self.assertEqual(self.ask().status_code, 429)

    def test_it_keeps_the_only_administrator(self):
        admin = ada()
        self.client.force_login(admin)

        response = self.ask()

        self.assertContains(response, str(LastAdmin.detail), status_code=422)
        admin.refresh_from_db()
        self.assertIsNone(admin.delete_at)


class SweepTests(TestCase):
    def test_it_deletes_whose_time_has_come_and_nobody_else(self):
        alice(delete_at=timezone.now() + timedelta(hours=1))
        overdue(bob())
        ada()

        self.assertEqual(deletion.sweep(), 1)

        left = set(User.objects.values_list("email", flat=True))
        self.assertEqual(left, {"alice@example.com", "ada@example.com"})
        self.assertEqual(actions(), ["account.deleted"])

    def test_it_deletes_who_was_deactivated_meanwhile(self):
        overdue(alice(is_active=False))

        deletion.sweep()

        self.assertFalse(User.objects.exists())

    def test_it_takes_the_files_along(self):
        user = overdue(alice())
        user.profile.avatar.save("a.png", ContentFile(b"picture"))
        export = Export.objects.create(user=user, status="ready")
        export.file.save("a.zip", ContentFile(b"everything"))
        files = [Path(user.profile.avatar.path), Path(export.file.path)]
        self.assertTrue(all(file.exists() for file in files))

        with self.captureOnCommitCallbacks(execute=True):
            deletion.sweep()

        self.assertFalse(any(file.exists() for file in files))

    def test_it_waits_with_the_account_until_the_storage_lets_its_files_go(self):
        user = overdue(alice())
        user.profile.avatar.save("a.png", ContentFile(b"picture"))
        path = Path(user.profile.avatar.path)
        path.unlink()
        path.mkdir()
        (path / "in the way").write_text("")

        with self.assertLogs("tertulia.app", "WARNING"):
            self.assertEqual(deletion.sweep(), 0)

        user.refresh_from_db()
        self.assertFalse(user.is_active)
        (path / "in the way").unlink()
        self.assertEqual(deletion.sweep(), 1)
        self.assertFalse(path.exists())

    def test_it_does_not_take_the_last_administrator(self):
        admin = overdue(ada())
        alice()

        with self.captureOnCommitCallbacks(execute=True):
            self.assertEqual(deletion.sweep(), 0)

        admin.refresh_from_db()
        self.assertIsNone(admin.delete_at)
        self.assertTrue(admin.is_active)
        self.assertEqual(AuditEvent.objects.get().details, {"because": "last_admin"})
        self.assertIn("only administrator", mail.outbox[0].body)

    def test_it_goes_on_where_a_process_ended_that_had_begun(self):
        user = overdue(alice())
        self.assertTrue(deletion._close(user))

        self.assertEqual(deletion.sweep(), 1)

    def test_who_is_being_deleted_cannot_come_back(self):
        user = overdue(alice())
        deletion._close(user)

        self.assertFalse(deletion.keep(user))
        self.assertEqual(deletion.sweep(), 1)


class RaceTests(TransactionTestCase):
    def test_two_processes_delete_an_account_once(self):
        overdue(alice())

        results = at_once([deletion.sweep] * 4)

        self.assertEqual([r for r in results if isinstance(r, Exception)], [])
        self.assertEqual(sum(results), 1)
        self.assertFalse(User.objects.exists())
        self.assertEqual(actions(), ["account.deleted"])

    def test_one_of_two_administrators_stays(self):
        ours = [overdue(ada()), overdue(bob(role=User.Role.ADMIN))]
        alice()

        look = deletion._is_last_admin

        def slowly(user):
            found = look(user)
            time.sleep(0.3)
            return found

        with mock.patch.object(deletion, "_is_last_admin", slowly):
            at_once([lambda user=user: deletion.carry_out(user) for user in ours])

        self.assertEqual(User.objects.filter(role="admin", is_active=True).count(), 1)

    def test_an_account_is_either_kept_or_deleted(self):
        user = overdue(alice())

        kept, gone = at_once(
            [lambda: deletion.keep(user), lambda: deletion.carry_out(user)]
        )

        self.assertNotEqual(kept, gone)
        self.assertEqual(User.objects.filter(is_active=True).exists(), kept)
