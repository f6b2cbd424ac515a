"""Setting up a second factor on the pages: what waits, what is said, what counts."""

import json
import re

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from django.test import TestCase, TransactionTestCase, override_settings

from accounts.errors import in_time
from accounts.mfa import second_factor
from accounts.tests.cases import JsonTestCase
from accounts.tests.factories import PASSWORD, alice, auth
from accounts.tests.second_factors import code_of, with_app, wrong
from accounts.tests.test_security_page import SHAPES

#: The shape of a new passkey, that nobody has made.
REGISTERED = json.dumps(
    {
        "id": "AAAA",
        "rawId": "AAAA",
        "type": "public-key",
        "response": {
            "clientDataJSON": "e30",
            "attestationObject": "AAAA",
        },
    }
)
ACTIVATE = "/accounts/2fa/totp/activate/"
CODES = "/accounts/2fa/recovery-codes/"
SECURITY = "/settings/security"
WORKERS = {"MFA_REQUIRED_ROLES": ["worker"]}


class SignedIn(TransactionTestCase):
    def setUp(self):
        self.alice = alice()
        self.client.post(
            "/accounts/login/", {"login": self.alice.email, "password": PASSWORD}
        )
        self.client.post("/accounts/reauthenticate/", {"password": PASSWORD})

    def begin(self):
        """Open the page that shows a secret, and return that."""
        page = self.client.get(ACTIVATE)
        return re.search(r'id="authenticator_secret"[^>]*value="(\w+)"', page.text)[1]

    def enter(self, code):
        return self.client.post(ACTIVATE, {"code": code})

    def set_up(self):
        secret = self.begin()
        assert self.enter(code_of(secret, 0))["Location"] == CODES
        return secret


class SecretTests(SignedIn):
    """The secret between the QR code and the first code of the app."""

    def test_it_cannot_be_read_in_the_session(self):
        secret = self.begin()

        kept = dict(self.client.session)
        assert kept[SECRET_SESSION_KEY]
        assert secret not in str(kept)

    def test_it_stays_the_same_after_a_wrong_code(self):
        secret = self.begin()

        page = self.enter(wrong(secret))

        self.assertContains(page, f'value="{secret}"')
        assert secret not in str(dict(self.client.session))
        assert self.enter(code_of(secret, 0)).status_code == 302

    def test_it_is_forgotten_by_the_session_once_the_app_is_on(self):
        self.set_up()

        assert SECRET_SESSION_KEY not in self.client.session

    def test_one_that_lay_there_readable_is_replaced_by_a_sealed_one(self):
        session = self.client.session
        session[SECRET_SESSION_KEY] = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
        session.save()

        self.enter("123456")

        assert "JBSWY3DPEHPK3PXP" not in str(dict(self.client.session))


class FirstCodeTests(SignedIn):
    """The code that shows that the app is set up."""

    def test_it_opens_nothing_afterwards_also_from_a_clock_that_is_ahead(self):
        for ahead in (-1, 0, 1):
            with self.subTest(ahead):
                Authenticator.objects.all().delete()
                secret = self.begin()
                code = code_of(secret, ahead)
                assert self.enter(code).status_code == 302

                assert not second_factor.verify(self.alice, code)

    def test_a_wrong_one_is_answered_with_what_helps(self):
        page = self.enter(wrong(self.begin()))

        self.assertContains(page, "take the newest")
        self.assertContains(page, "clock of your phone")
        # There is none yet.
        self.assertNotContains(page, "recovery code")

    def test_wrong_ones_are_counted_as_over_the_api(self):
        secret = self.begin()
        for _ in range(10):
            assert self.enter(wrong(secret)).status_code == 200

        page = self.enter(code_of(secret, 0))

        seconds = int(page["Retry-After"])
        assert seconds <= 900
        self.assertContains(page, in_time(seconds), status_code=429)
        assert not second_factor.has_totp(self.alice)

    def test_page_and_api_count_together(self):
        secret = self.begin()
        for _ in range(10):
            self.enter(wrong(secret))
        headers = auth(self.alice)
        self.client.post(
            "/api/v1/me/totp",
            {"password": PASSWORD},
            content_type="application/json",
            **headers,
        )

        answer = self.client.post(
            "/api/v1/me/totp/confirm",
            {"code": "123456"},
            content_type="application/json",
            **headers,
        )

        assert answer.status_code == 429


class RecoveryCodeTests(SignedIn):
    """Codes made on a page open nothing until somebody has seen them."""

    def test_codes_nobody_has_seen_count_for_nothing(self):
        self.set_up()

        assert second_factor.recovery_codes_left(self.alice) == 0
        self.client.get(CODES)
        assert second_factor.recovery_codes_left(self.alice) == 10

    def test_the_security_page_says_so_and_shows_the_way(self):
        self.set_up()

        page = self.client.get(SECURITY)

        self.assertContains(page, "open nothing until you have looked at them")
        self.assertContains(page, f'href="{CODES}"')
        self.client.get(CODES)
        self.assertContains(self.client.get(SECURITY), "10 are left")

    def test_the_page_that_shows_them_says_that_they_work_from_now_on(self):
        self.set_up()

        self.assertContains(self.client.get(CODES), "from now on")

    def test_a_reload_leads_to_new_ones(self):
        self.set_up()
        first = self.client.get(CODES).context["unused_codes"]

        again = self.client.get(CODES)
        self.assertContains(again, "make new ones")
        self.assertContains(again, f'href="{CODES}generate/"')
        self.client.post(f"{CODES}generate/")
        new = self.client.get(CODES).context["unused_codes"]

        assert not second_factor.verify(self.alice, first[0])
        assert second_factor.verify(self.alice, new[0])


class GuidedTests(TestCase):
    """Who needs one and has none is led through it when they sign in."""

    def sign_in(self, user):
        body = {"login": user.email, "password": PASSWORD}
        return self.client.post("/accounts/login/", body, follow=True)

    @override_settings(**WORKERS)
    def test_the_password_just_typed_is_not_asked_for_again(self):
        page = self.sign_in(alice())

        assert page.redirect_chain[-1][0] == ACTIVATE
        self.assertContains(page, 'id="authenticator_secret"')

    def test_who_needs_none_types_it_before_setting_one_up(self):
        self.sign_in(alice())

        page = self.client.get(ACTIVATE)

        assert page["Location"].startswith("/accounts/reauthenticate/")

    @override_settings(**WORKERS)
    def test_from_the_codes_one_goes_on_to_where_everything_is(self):
        self.sign_in(alice())
        secret = self.client.get(ACTIVATE).context["form"].secret
        self.client.post(ACTIVATE, {"code": code_of(secret, 0)})

        page = self.client.get(CODES)

        self.assertContains(page, '<a class="button quiet" href="/">I have kept them')
        assert self.client.get("/").status_code == 200

    @override_settings(**WORKERS)
    def test_a_fragment_sends_the_whole_page_there(self):
        self.client.force_login(alice())

        for ask in (self.client.get, self.client.post):
            answer = ask("/conversations", headers={"HX-Request": "true"})
            assert answer.status_code == 200
            assert answer["HX-Redirect"] == ACTIVATE
            assert answer.content == b""


class SentenceTests(JsonTestCase):
    """The same words on the page, at the admin site and over the API."""

    def setUp(self):
        self.alice = alice()
        self.secret = with_app(self.alice)

    def on_page(self, code):
        body = {"login": self.alice.email, "password": PASSWORD}
        self.client.post("/accounts/login/", body)
        return self.client.post("/accounts/2fa/authenticate/", {"code": code})

    def over_api(self, code):
        body = {"email": self.alice.email, "password": PASSWORD, "totp": code}
        return self.post("/api/v1/auth/login", body)

    def test_a_wrong_code_is_answered_with_what_helps(self):
        page = self.on_page(wrong(self.secret))
        said = self.over_api(wrong(self.secret)).json()["detail"]

        self.assertContains(page, said)
        for help in ("newest", "clock of your phone", "recovery code"):
            assert help in said

    def test_being_locked_is_told_in_minutes_with_the_reason(self):
        for _ in range(10):
            self.over_api(wrong(self.secret))

        answer = self.over_api(code_of(self.secret))
        page = self.on_page(code_of(self.secret))

        said = answer.json()["detail"]
        assert "15 minutes" in said
        assert "so that nobody can guess" in said
        assert "seconds" not in said
        assert 880 < answer.json()["retry_after"] <= 900
        self.assertContains(page, said, status_code=429)

    def test_the_last_one_stays_in_the_same_words(self):
        self.client.force_login(self.alice)
        self.client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        headers = auth(self.alice)

        with self.settings(**WORKERS):
            page = self.client.get("/accounts/2fa/totp/deactivate/")
            answer = self.client.delete(
                "/api/v1/me/totp",
                {"password": PASSWORD, "code": code_of(self.secret)},
                content_type="application/json",
                **headers,
            )

        self.assertContains(page, answer.json()["detail"])


class PasskeyTests(SignedIn):
    def test_one_that_is_none_is_not_added_and_it_says_so(self):
        for credential in ('{"a": 1}', *SHAPES, REGISTERED):
            with self.subTest(credential):
                page = self.client.post(
                    "/accounts/2fa/webauthn/add/",
                    {"name": "Key", "credential": credential},
                )

                self.assertContains(page, "The passkey was not added")
                assert not Authenticator.objects.exists()
