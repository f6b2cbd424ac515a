"""What docs/security.md promises of cookies, passwords and signing in."""

import re
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client, SimpleTestCase, TestCase
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts.models import User
from accounts.tests.factories import PASSWORD, ada, alice
from accounts.tests.second_factors import with_app
from config.environment import BASE_DIR

SIGN_IN = "/accounts/login/"


class CookieTests(TestCase):
    def test_every_cookie_is_for_this_site_and_no_script(self):
        alice()
        self.client.post("/i18n/setlang/", {"language": "es"})
        self.client.get(SIGN_IN)
        self.client.post(SIGN_IN, {"login": "alice@example.com", "password": PASSWORD})

        assert set(self.client.cookies) == {"csrf", "language", "session"}
        for cookie in self.client.cookies.values():
            with self.subTest(cookie.key):
                assert cookie["httponly"]
                assert cookie["samesite"] == "Lax"
                assert cookie["path"] == "/"
                assert not cookie["domain"]

    def test_a_session_has_a_new_name_after_signing_in(self):
        alice()
        self.client.post(SIGN_IN, {"login": "x@example.com", "password": "wrong"})
        session = self.client.session
        session["planted"] = True
        session.save()
        self.client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
        before = session.session_key

        self.client.post(SIGN_IN, {"login": "alice@example.com", "password": PASSWORD})

        after = self.client.cookies[settings.SESSION_COOKIE_NAME].value
        assert after != before
        assert not self.client.session.__class__(before).load()

    def test_a_session_is_not_named_by_who_asks(self):
        self.client.cookies[settings.SESSION_COOKIE_NAME] = "x" * 32
        alice()

        self.client.post(SIGN_IN, {"login": "alice@example.com", "password": PASSWORD})

        assert self.client.cookies[settings.SESSION_COOKIE_NAME].value != "x" * 32

    def test_a_session_ends_at_the_server(self):
        self.client.force_login(alice())
        stolen = self.client.cookies[settings.SESSION_COOKIE_NAME].value
        self.client.post("/accounts/logout/")

        self.client.cookies[settings.SESSION_COOKIE_NAME] = stolen

        assert self.client.get("/settings/profile").status_code == 302

    def test_signing_out_clears_what_the_browser_has_stored(self):
        for leave in ("/accounts/logout/", "/admin/logout/"):
            self.client.force_login(ada() if "admin" in leave else alice())
            assert "Clear-Site-Data" not in self.client.get("/settings/profile")

            assert self.client.post(leave)["Clear-Site-Data"] == '"storage"'

    def test_a_session_ends_two_weeks_after_its_last_change(self):
        self.client.force_login(alice())
        before = Session.objects.get().expire_date

        self.client.get("/settings/profile")

        assert Session.objects.get().expire_date == before
        assert before - timezone.now() < timedelta(days=14)


class PasswordTests(SimpleTestCase):
    def test_length_counts_and_no_composition(self):
        for password in ("zanahoria", "ñandú y lluvia", "x" * 200, "  spaces  kept "):
            with self.subTest(password):
                validate_password(password, User(email="alice@example.com"))

    def test_short_common_and_telling_passwords_are_refused(self):
        telling = "alice.liddell"
        for password in ("short77", "password", "qwertyuiop", "iloveyou1", telling):
            with self.subTest(password), self.assertRaises(ValidationError):
                validate_password(password, User(email="alice.liddell@example.com"))

    def test_hashes_cost_more_than_they_must(self):
        # Written down, for the tests themselves use a quick one.
        source = (BASE_DIR / "config" / "settings.py").read_text()
        first = re.search(r"PASSWORD_HASHERS = \[\s+\"([\w.]+)\"", source)[1]
        hasher = import_string(first)()

        assert isinstance(hasher, Argon2PasswordHasher)
        # OWASP asks for 19 MiB and two rounds.
        assert hasher.memory_cost >= 19 * 1024
        assert hasher.time_cost >= 2


class PasswordFieldTests(TestCase):
    def test_they_are_masked_and_filled_by_password_managers(self):
        client = Client()
        pages = [client.get(path) for path in (SIGN_IN, "/accounts/signup/")]
        client.force_login(alice())
        pages += [
            client.get(path)
            for path in ("/accounts/password/change/", "/accounts/reauthenticate/")
        ]
        for page in pages:
            named = r"<input[^>]*name=\"[^\"]*password[^>]*>"
            fields = re.findall(named, page.content.decode())
            assert fields, page.request["PATH_INFO"]
            for field in fields:
                with self.subTest(field):
                    assert 'type="password"' in field
                    assert re.search('autocomplete="(current|new)-password"', field)
                    assert "onpaste" not in field


class ResetTests(TestCase):
    def test_a_new_password_by_mail_is_not_enough_where_there_is_a_second_factor(self):
        with_app(alice())
        client = Client()
        client.post("/accounts/password/reset/", {"email": "alice@example.com"})
        link = re.search(r"/accounts/password/reset/key/\S+", mail.outbox[0].body)[0]
        form = client.get(link, follow=True).redirect_chain[-1][0]
        new = "another long password"
        client.post(form, {"password1": new, "password2": new})

        answer = client.post(SIGN_IN, {"login": "alice@example.com", "password": new})

        assert User.objects.get().check_password(new)
        assert answer["Location"].startswith("/accounts/2fa/authenticate/")
        assert client.get("/settings/profile").status_code == 302


class RedirectTests(TestCase):
    def test_nobody_is_sent_to_another_site(self):
        alice()
        for there in (
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            " //evil.example",
        ):
            with self.subTest(there):
                client = Client()
                sign_in = {"login": "alice@example.com", "password": PASSWORD}
                for answer in (
                    client.post(SIGN_IN, sign_in | {"next": there}),
                    client.post("/i18n/setlang/", {"language": "es", "next": there}),
                    client.post("/accounts/logout/", {"next": there}),
                ):
                    assert answer.status_code == 302
                    assert "evil" not in answer["Location"]
                    assert "javascript" not in answer["Location"]
