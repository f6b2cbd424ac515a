"""What happens to an account between the two steps of a sign-in, and during one."""

import re
from contextlib import contextmanager
from functools import partial
from pkgutil import resolve_name
from unittest import mock

from django.core.cache import cache
from django.test import Client, TestCase, TransactionTestCase

from accounts.authentication import sessions, sign_ins
from accounts.data import deletion
from accounts.errors import InvalidCredentials
from accounts.mfa import removal, second_factor
from accounts.models import AuditEvent, Session, User
from accounts.tests.factories import PASSWORD, ada, alice, auth, change
from accounts.tests.races import at_once
from accounts.tests.second_factors import with_app, with_codes, with_passkey
from accounts.tests.security_key import HOST, TOUCHED, SecurityKey

SIGN_IN = "/accounts/login/"
SECOND_STEP = "/accounts/2fa/authenticate/"
JSON = "application/json"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PROOF = "accounts.mfa.second_factor.proof"
FIRST_STEP = "accounts.adapter.AccountAdapter.pre_login"
SENTENCE = "Your account was changed while you were signing in; sign in again."


def opened() -> int:
    return AuditEvent.objects.filter(action="session.opened").count()


def is_in(client: Client) -> bool:
    return client.get("/settings/profile").status_code == 200


class SecondStepTests(TestCase):
    def setUp(self):
        cache.clear()
        self.alice = alice()
        self.secret = with_app(self.alice)
        self.codes = with_codes(self.alice)
        self.client.post(SIGN_IN, {"login": self.alice.email, "password": PASSWORD})

    def assert_it_leads_nowhere(self):
        left = second_factor.recovery_codes_left(self.alice)

        response = self.client.post(SECOND_STEP, {"code": self.codes[0]}, follow=True)

        assert response.redirect_chain == [(SIGN_IN, 302)]
        self.assertContains(response, SENTENCE)
        assert not is_in(self.client)
        assert opened() == 0
        # Nor was a code of the person used up.
        assert second_factor.recovery_codes_left(self.alice) == left
        assert self.client.get(SECOND_STEP)["Location"] == SIGN_IN

    def test_it_opens_when_nothing_has_changed(self):
        self.client.get(SECOND_STEP)

        self.client.post(SECOND_STEP, {"code": self.codes[0]})

        assert is_in(self.client)
        assert opened() == 1

    def test_it_leads_nowhere_after_a_new_password_over_the_api(self):
        body = {"current_password": PASSWORD, "new_password": "quite another one 9"}
        Client().post(
            "/api/v1/me/password", body, content_type=JSON, **auth(self.alice)
        )

        self.assert_it_leads_nowhere()

    def test_it_leads_nowhere_after_a_new_password_by_operator_or_command(self):
        set_by_operator(User.objects.get(pk=self.alice.pk), "quite another one 9")

        self.assert_it_leads_nowhere()

    def test_it_leads_nowhere_after_a_deactivation_and_records_no_session(self):
        change(self.alice, is_active=False)

        self.assert_it_leads_nowhere()

    def test_it_leads_nowhere_after_another_role(self):
        change(self.alice, role="supervisor")

        self.assert_it_leads_nowhere()

    def test_it_leads_nowhere_after_new_recovery_codes(self):
        self.codes = with_codes(self.alice)

        self.assert_it_leads_nowhere()

    def test_it_leads_nowhere_after_a_passkey_was_added(self):
        with_passkey(self.alice)

        self.assert_it_leads_nowhere()

    def test_it_leads_nowhere_after_the_second_factor_was_removed(self):
        removal.remove_all(self.alice, actor=ada())

        response = self.client.get(SECOND_STEP, follow=True)

        self.assertContains(response, SENTENCE)
        assert not is_in(self.client)

    def test_it_leads_nowhere_after_the_deletion_was_asked_for(self):
        deletion.ask(self.alice)

        self.assert_it_leads_nowhere()
        assert User.objects.get(pk=self.alice.pk).delete_at is not None

    def test_it_looks_again_when_the_session_is_stored(self):
        """For the change that comes while a code is looked at."""
        changed = ({"is_active": False}, {"role": "supervisor"})
        for changes, code in zip(changed, self.codes, strict=False):
            with self.subTest(changes), after(PROOF, partial(change, **changes)):
                response = self.client.post(SECOND_STEP, {"code": code}, follow=True)

                self.assertContains(response, SENTENCE)
                assert not is_in(self.client)
                assert opened() == 0
            change(self.alice, is_active=True)
            self.client.post(SIGN_IN, {"login": self.alice.email, "password": PASSWORD})

    def test_a_sign_in_that_was_begun_before_there_were_marks_begins_again(self):
        session = self.client.session
        del session[sign_ins.KEY]
        session.save()

        self.assert_it_leads_nowhere()

    def test_the_mark_is_no_secret(self):
        kept = str(dict(self.client.session))

        assert self.alice.password not in kept


class PasskeyTests(TestCase):
    def test_a_passkey_for_the_second_step_leads_nowhere_either(self):
        user = alice()
        key = SecurityKey(user, alone=False)
        body = {"login": user.email, "password": PASSWORD}
        self.client.post(SIGN_IN, body, HTTP_HOST=HOST)
        page = self.client.get(SECOND_STEP, HTTP_HOST=HOST).content.decode()
        challenge = re.search(r'"challenge": "([^"]+)"', page)[1]
        set_by_operator(User.objects.get(pk=user.pk), "quite another one 9")

        answer = {"credential": key.answer(challenge, how=TOUCHED)}
        response = self.client.post(SECOND_STEP, answer, HTTP_HOST=HOST)

        assert response["Location"] == SIGN_IN
        assert "_auth_user_id" not in self.client.session


class OneStepTests(TestCase):
    """Of who has no second factor when the password is looked at."""

    def test_the_page_opens_nothing_when_one_is_added_meanwhile(self):
        user = alice()
        with after(FIRST_STEP, with_app):
            response = self.client.post(
                SIGN_IN, {"login": user.email, "password": PASSWORD}, follow=True
            )

        self.assertContains(response, SENTENCE)
        assert not is_in(self.client)
        assert opened() == 0

    def test_the_api_opens_nothing_when_one_is_added_meanwhile(self):
        user = alice()
        body = {"email": user.email, "password": PASSWORD}
        with after("accounts.mfa.second_factor.is_enabled", with_app):
            response = self.client.post("/api/v1/auth/login", body, content_type=JSON)

        assert response.status_code == 401
        assert response.json()["code"] == "invalid_credentials"
        assert not Session.objects.exists()
        again = self.client.post("/api/v1/auth/login", body, content_type=JSON)
        assert again.json()["code"] == "totp_required"


class RaceTests(TransactionTestCase):
    def test_no_session_outlives_a_second_factor_that_is_added_meanwhile(self):
        for _ in range(5):
            User.objects.all().delete()
            user = alice()
            basis = sign_ins.basis_of(user)

            results = at_once(
                [
                    partial(sessions.open_session, user, basis=basis),
                    partial(second_factor.add_totp, User.objects.get(), SECRET, used=1),
                ]
            )

            assert isinstance(results[0], sessions.Tokens | InvalidCredentials), results
            assert not Session.objects.live().exists()


def set_by_operator(user, password):
    user.set_password(password)
    user.save()


@contextmanager
def after(path, do):
    """Do something to Alice as soon as `path` has returned, before that is used."""
    real = resolve_name(path)

    def and_then(*args, **kwargs):
        found = real(*args, **kwargs)
        do(User.objects.get(email="alice@example.com"))
        return found

    with mock.patch(path, and_then):
        yield
