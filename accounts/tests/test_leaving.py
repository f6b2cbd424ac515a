"""What somebody shows who wants to leave: also who has no password."""

from django.test import TestCase, override_settings

from accounts.models import User
from accounts.tests.cases import ME, JsonTestCase, in_one_window
from accounts.tests.factories import PASSWORD, alice, auth, charlie
from accounts.tests.key_server import SHARED, issuer
from accounts.tests.second_factors import (
    code_of,
    with_app,
    with_codes,
    with_passkey,
    wrong,
)
from accounts.tests.test_issuers import shared

PAGE = "/settings/data"


class LeavingTestCase(JsonTestCase):
    def setUp(self):
        self.alice = alice(password=None)

    def ask(self, headers=None, **body):
        return self.client.delete(
            ME,
            body,
            content_type="application/json",
            **(headers or auth(self.alice)),
        )

    def assert_asked_for(self, field, response, code=None):
        self.assert_refused(response, 400, "invalid")
        (error,) = response.json()["errors"]
        self.assertEqual(error["field"], field)
        if code:
            self.assertEqual(error["code"], code)
        self.assertIsNone(User.objects.get(pk=self.alice.pk).delete_at)

    def assert_leaving(self, response):
        self.assertEqual(response.status_code, 202, response.content)
        self.assertIsNotNone(User.objects.get(pk=self.alice.pk).delete_at)


class ApiTests(LeavingTestCase):
    def test_who_has_a_password_gives_nothing_else(self):
        self.alice.set_password(PASSWORD)
        self.alice.save()
        codes = with_codes(self.alice)

        for body in ({}, {"email": self.alice.email}, {"code": codes[0]}):
            self.assert_asked_for("password", self.ask(**body), "required")
        self.assert_leaving(self.ask(password=PASSWORD))

    def test_who_has_none_gives_a_code_of_the_app(self):
        secret = with_app(self.alice)

        self.assert_asked_for("code", self.ask(email=self.alice.email), "required")
        self.assert_asked_for("code", self.ask(code=wrong(secret)))
        self.assert_leaving(self.ask(code=code_of(secret)))

    def test_who_has_none_gives_a_recovery_code_and_it_is_used_up(self):
        first, *_more = with_codes(self.alice)

        self.assert_leaving(self.ask(code=first))

        User.objects.update(delete_at=None)
        self.assert_asked_for("code", self.ask(code=first))

    def test_codes_cannot_be_guessed(self):
        secret = with_app(self.alice)
        with in_one_window():
            for _ in range(10):
                self.ask(code=wrong(secret))

            refused = self.ask(code=code_of(secret))

        self.assert_refused(refused, 429, "rate_limited")

    def test_who_has_neither_repeats_the_email(self):
        self.assert_asked_for("email", self.ask(), "required")
        self.assert_asked_for("email", self.ask(password=PASSWORD), "required")
        self.assert_asked_for("email", self.ask(email="bob@example.com"))
        self.assert_leaving(self.ask(email=" Alice@Example.com"))

    def test_the_email_of_another_deletes_nobody(self):
        other = charlie(password=None)

        answer = self.ask(auth(other), email=self.alice.email)

        self.assert_asked_for("email", answer)
        self.assertFalse(User.objects.filter(delete_at__isnull=False).exists())

    @override_settings(JWT_ISSUERS=[issuer(user="create", claim="sub", key=SHARED)])
    def test_who_another_service_signs_in_can_leave(self):
        foreign = {"HTTP_AUTHORIZATION": f"Bearer {shared(email=None)}"}
        me = self.client.get(ME, **foreign).json()

        self.assert_asked_for("email", self.ask(foreign), "required")
        answer = self.ask(foreign, email=me["email"])

        self.assertEqual(answer.status_code, 202)
        self.assertIsNotNone(User.objects.get(pk=me["id"]).delete_at)
        self.assertEqual(self.client.get(ME, **foreign).status_code, 401)


class PageTests(TestCase):
    def setUp(self):
        self.alice = alice(password=None)
        self.client.force_login(self.alice)

    def ask(self, **given):
        return self.client.post(f"{PAGE}/delete", given, follow=True)

    def is_leaving(self):
        return User.objects.get(pk=self.alice.pk).delete_at is not None

    def test_it_asks_who_has_a_password_for_it_alone(self):
        self.alice.set_password(PASSWORD)
        self.alice.save()
        self.client.force_login(self.alice)

        page = self.client.get(PAGE)

        self.assertContains(page, 'name="password"')
        self.assertNotContains(page, 'name="email"')

    def test_it_asks_who_has_neither_for_the_email(self):
        page = self.client.get(PAGE)
        self.assertContains(page, "Write alice@example.com to confirm.")
        self.assertNotContains(page, 'name="password"')

        wrong_one = self.ask(email="bob@example.com")
        self.assertContains(
            wrong_one, "not the e-mail of your account", status_code=422
        )
        self.assertFalse(self.is_leaving())

        done = self.ask(email="alice@example.com")
        self.assertRedirects(done, "/accounts/login/")
        self.assertTrue(self.is_leaving())

    def test_it_asks_for_the_second_factor_first_and_goes_on_by_itself(self):
        secret = with_app(self.alice)
        self.client.force_login(self.alice)

        asked = self.ask(email="alice@example.com")

        self.assertTemplateUsed(asked, "mfa/reauthenticate.html")
        self.assertFalse(self.is_leaving())
        done = self.client.post(
            asked.redirect_chain[-1][0], {"code": code_of(secret)}, follow=True
        )
        self.assertContains(done, "sign in before then to keep it")
        self.assertTrue(self.is_leaving())

    def test_it_asks_who_has_a_passkey_for_it_first(self):
        with_passkey(self.alice)
        self.client.force_login(self.alice)

        asked = self.client.post(f"{PAGE}/delete", {"email": "alice@example.com"})

        self.assertEqual(asked.status_code, 302)
        self.assertIn("reauthenticate", asked["Location"])
        self.assertFalse(self.is_leaving())
