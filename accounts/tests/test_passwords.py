"""New passwords, by page, API and mail: what else they change, and who is told."""

import re
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from django.conf import settings
from django.core import mail
from django.core.cache import cache
from django.core.management import call_command
from django.test import TestCase, override_settings
from django.urls import reverse

from accounts import administration
from accounts.data import deletion
from accounts.models import AuditEvent, Session, User
from accounts.tests.cases import JsonTestCase
from accounts.tests.factories import PASSWORD, ada, alice, auth, bearer, make_user

CHANGE = "/accounts/password/change/"
RESET = "/accounts/password/reset/"
NEW = "another long password"


def link_in(message):
    found = re.search(r"/accounts/password/reset/key/\S+", message.body)
    return found[0] if found else None


class MeanwhileTests(TestCase):
    """An operator acts while a hash is being made, or a form lies open."""

    @classmethod
    def setUpTestData(cls):
        cls.ada = ada()
        cls.eve = make_user("eve@example.com", role=User.Role.ADMIN)

    def setUp(self):
        cache.clear()

    def while_hashing(self, act):
        hashed = User.set_password

        def slowly(user, password):
            hashed(user, password)
            act(User.objects.get(pk=self.eve.pk))

        self.enterContext(mock.patch.object(User, "set_password", slowly))

    def demote(self, user):
        administration.change(user, actor=self.ada, via="test", role="worker")

    def change(self):
        self.client.force_login(User.objects.get(pk=self.eve.pk))
        form = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
        self.client.post(CHANGE, form)
        return User.objects.get(pk=self.eve.pk)

    def test_the_page_undoes_no_demotion(self):
        self.while_hashing(self.demote)

        eve = self.change()

        assert eve.role == User.Role.WORKER
        assert eve.check_password(NEW)

    def test_the_page_undoes_no_deactivation(self):
        self.while_hashing(
            lambda user: administration.change(
                user, actor=self.ada, via="test", is_active=False
            )
        )

        assert not self.change().is_active

    def test_the_page_undoes_no_deletion(self):
        self.while_hashing(
            lambda user: deletion.remove(user, actor=self.ada, via="test")
        )

        eve = self.change()

        assert eve.delete_at is not None
        assert not eve.is_active

    def test_a_reset_undoes_no_demotion(self):
        self.client.post(RESET, {"email": self.eve.email})
        form = self.client.get(link_in(mail.outbox[0]), follow=True)
        self.while_hashing(self.demote)

        self.client.post(
            form.request["PATH_INFO"], {"password1": NEW, "password2": NEW}
        )

        eve = User.objects.get(pk=self.eve.pk)
        assert eve.role == User.Role.WORKER
        assert eve.check_password(NEW)

    def test_the_page_of_the_admin_site_undoes_no_demotion(self):
        self.client.force_login(self.ada)
        self.while_hashing(self.demote)

        self.client.post(
            reverse("admin:auth_user_password_change", args=[self.eve.pk]),
            {"usable_password": "true", "password1": NEW, "password2": NEW},
        )

        assert User.objects.get(pk=self.eve.pk).role == User.Role.WORKER

    def test_the_command_line_undoes_no_demotion(self):
        def typed(prompt):
            if User.objects.get(pk=self.eve.pk).role == User.Role.ADMIN:
                self.demote(self.eve)
            return NEW

        with mock.patch("getpass.getpass", typed):
            call_command("changepassword", self.eve.email, stdout=StringIO())

        assert User.objects.get(pk=self.eve.pk).role == User.Role.WORKER

    def test_a_page_of_the_admin_site_stores_what_was_changed_on_it(self):
        self.client.force_login(self.ada)
        read = User.full_clean

        def slowly(user, *args, **kwargs):
            User.objects.filter(pk=user.pk).update(delete_at="2030-01-01T00:00:00Z")
            read(user, *args, **kwargs)

        with mock.patch.object(User, "full_clean", slowly):
            answer = self.client.post(
                reverse("admin:accounts_user_change", args=[self.eve.pk]),
                {
                    "email": self.eve.email,
                    "role": "supervisor",
                    "is_active": "on",
                    "profile-TOTAL_FORMS": "1",
                    "profile-INITIAL_FORMS": "1",
                    "profile-0-user": str(self.eve.pk),
                    "profile-0-language": "en",
                    "profile-0-time_zone": "UTC",
                },
            )

        assert answer.status_code == 302, answer.context["errors"]
        eve = User.objects.get(pk=self.eve.pk)
        assert eve.role == User.Role.SUPERVISOR
        assert eve.delete_at is not None

    def test_a_new_password_is_all_that_a_stale_row_stores(self):
        stale = User.objects.get(pk=self.eve.pk)
        self.demote(self.eve)
        bearer(self.eve)

        stale.set_password(NEW)
        stale.save()

        eve = User.objects.get(pk=self.eve.pk)
        assert eve.role == User.Role.WORKER
        assert eve.check_password(NEW)
        assert not Session.objects.live().exists()


class ClosedResetTests(TestCase):
    """Who may not choose a password here (PASSWORD_CHANGE_DOMAINS), by mail neither."""

    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def setUp(self):
        cache.clear()

    def ask(self, email="alice@example.com"):
        answer = self.client.post(RESET, {"email": email})
        return answer, mail.outbox[-1]

    @override_settings(PASSWORD_CHANGE_DOMAINS=["example.org"])
    def test_the_mail_says_that_it_is_changed_elsewhere_and_has_no_link(self):
        _answer, message = self.ask()

        assert link_in(message) is None
        assert "not changed here" in message.body
        assert message.to == ["alice@example.com"]

    @override_settings(PASSWORD_CHANGE_DOMAINS=["example.org"])
    def test_the_page_says_the_same_to_everyone(self):
        make_user("bob@example.org")
        said = {
            (answer.status_code, answer["Location"])
            for answer, _message in map(
                self.ask, ("alice@example.com", "bob@example.org", "x@example.com")
            )
        }

        assert len(said) == 1

    def test_a_link_that_is_out_already_is_refused(self):
        _answer, message = self.ask()
        link = link_in(message)
        form = self.client.get(link, follow=True).request["PATH_INFO"]

        with override_settings(PASSWORD_CHANGE_DOMAINS=["example.org"]):
            for answer in (
                self.client.get(link),
                self.client.get(form),
                self.client.post(form, {"password1": NEW, "password2": NEW}),
            ):
                self.assertContains(answer, "not changed here", status_code=403)
        assert User.objects.get().check_password(PASSWORD)

    @override_settings(PASSWORD_CHANGE_DOMAINS=["example.org"])
    def test_the_link_page_tells_nobody_without_a_link_of_whom_it_is(self):
        self.ask()
        made_up = f"{RESET}key/{self.alice.pk.hex}-abc-{'0' * 32}/"

        assert self.client.get(made_up).status_code == 200

    @override_settings(PASSWORD_CHANGE_DOMAINS=["example.com"])
    def test_it_goes_on_for_the_domains_that_may(self):
        _answer, message = self.ask()
        form = self.client.get(link_in(message), follow=True).request["PATH_INFO"]

        self.client.post(form, {"password1": NEW, "password2": NEW})

        assert User.objects.get().check_password(NEW)


class MailTests(JsonTestCase):
    """Whoever has a new password is told, in the language of their profile."""

    @classmethod
    def setUpTestData(cls):
        cls.alice = alice(profile={"language": "es"})

    def setUp(self):
        cache.clear()

    def change_by_api(self):
        answer = self.post(
            "/api/v1/me/password",
            {"current_password": PASSWORD, "new_password": NEW},
            **auth(self.alice),
        )
        assert answer.status_code == 204, answer.content

    def test_the_api_tells_as_the_page_does(self):
        self.change_by_api()

        (message,) = mail.outbox
        assert message.to == ["alice@example.com"]
        assert "contraseña" in message.body

    def speaking(self, *letters):
        """Have mails say which language they are written in."""
        folder = Path(self.enterContext(TemporaryDirectory()))
        (folder / "account" / "email").mkdir(parents=True)
        said = "{% load i18n %}{% get_current_language as it %}{{ it }}"
        for letter in letters:
            (folder / f"account/email/{letter}_message.txt").write_text(said)
        (engine,) = settings.TEMPLATES
        engine = engine | {"DIRS": [folder, *engine["DIRS"]]}
        self.enterContext(override_settings(TEMPLATES=[engine]))

    def test_it_is_written_in_the_language_of_who_reads_it(self):
        self.speaking("password_reset_key", "account_already_exists")
        english = {"HTTP_ACCEPT_LANGUAGE": "en"}

        self.client.post(RESET, {"email": "Alice@example.com"}, **english)
        self.client.post(
            "/accounts/signup/",
            {"email": "alice@example.com", "password1": NEW},
            **english,
        )

        assert [message.body for message in mail.outbox] == ["es", "es"]

    def test_who_has_no_account_reads_the_language_of_the_request(self):
        self.speaking("unknown_account")

        for language in ("es", "en"):
            headers = {"HTTP_ACCEPT_LANGUAGE": language}
            self.client.post(RESET, {"email": "nobody@example.com"}, **headers)
            assert mail.outbox[-1].body == language

    def test_the_page_goes_on_in_the_language_of_the_request(self):
        answer = self.client.post(
            RESET,
            {"email": "alice@example.com"},
            follow=True,
            HTTP_ACCEPT_LANGUAGE="en",
        )

        self.assertContains(answer, 'lang="en"')

    def test_the_event_says_that_it_came_by_the_api(self):
        self.change_by_api()

        event = AuditEvent.objects.get(action="user.password_changed")
        assert event.details == {"via": "api"}
