"""The second factor over the API: signing in with it, and setting it up."""

from functools import partial

from allauth.mfa.models import Authenticator
from django.core import mail
from django.core.cache import cache
from django.test import Client, TransactionTestCase, override_settings
from django.utils import timezone

from accounts.authentication.bearer import redeem_ticket, right_of
from accounts.authentication.liveness import browser_user
from accounts.authentication.sessions import issue_ticket
from accounts.mfa import removal, second_factor
from accounts.models import AuditEvent, Session, TotpSetup, User
from accounts.tests.cases import LOGIN, ME, JsonTestCase
from accounts.tests.factories import PASSWORD, ada, alice, auth, bearer, bob
from accounts.tests.races import at_once
from accounts.tests.second_factors import (
    code_of,
    with_app,
    with_codes,
    with_passkey,
    wrong,
)

TOTP = "/api/v1/me/totp"
CONFIRM = "/api/v1/me/totp/confirm"
CODES = "/api/v1/me/totp/recovery-codes"


class SignInTests(JsonTestCase):
    def setUp(self):
        self.alice = alice()
        self.secret = with_app(self.alice)

    def sign_in(self, totp=None, password=PASSWORD):
        body = {"email": "alice@example.com", "password": password}
        return self.post(LOGIN, body if totp is None else body | {"totp": totp})

    def test_it_asks_for_a_code(self):
        for totp in (None, "", "  "):
            self.assert_refused(self.sign_in(totp), 401, "totp_required")
        assert not Session.objects.exists()

    def test_it_asks_nobody_who_does_not_know_the_password(self):
        response = self.sign_in(password="wrong password")

        self.assert_refused(response, 401, "invalid_credentials")

    def test_it_uses_up_no_code_with_a_wrong_password(self):
        code = code_of(self.secret)
        self.sign_in(code, password="wrong password")

        assert self.sign_in(code).status_code == 200

    def test_a_code_of_the_app_opens_once(self):
        code = code_of(self.secret)

        assert self.sign_in(code).status_code == 200
        self.assert_refused(self.sign_in(code), 401, "invalid_totp")
        assert Session.objects.count() == 1

    def test_a_recovery_code_opens_once(self):
        code = with_codes(self.alice)[0]

        assert self.sign_in(code).status_code == 200
        self.assert_refused(self.sign_in(code), 401, "invalid_totp")

    def test_it_refuses_what_is_no_code(self):
        for totp in ("000", "abcdef", "１２３４５６"):
            with self.subTest(totp):
                self.assert_refused(self.sign_in(totp), 401, "invalid_totp")
        for totp in ([], {}, True, "0" * 33):
            with self.subTest(totp):
                self.assert_refused(self.sign_in(totp), 400, "invalid")

    def test_ten_wrong_codes_close_it(self):
        for _ in range(10):
            self.assert_refused(self.sign_in(wrong(self.secret)), 401, "invalid_totp")

        response = self.sign_in(code_of(self.secret))

        self.assert_refused(response, 429, "rate_limited")
        assert response["Retry-After"] == "900"
        assert not Session.objects.exists()

    def test_with_a_passkey_alone_a_recovery_code_opens(self):
        removal.remove_totp(self.alice)
        with_passkey(self.alice)
        code = with_codes(self.alice)[0]

        self.assert_refused(self.sign_in(), 401, "totp_required")
        assert self.sign_in(code).status_code == 200

    def test_who_has_none_sends_what_they_like(self):
        bob()
        body = {"email": "bob@example.com", "password": PASSWORD, "totp": "123456"}

        assert self.post(LOGIN, body).status_code == 200


class SetUpTests(JsonTestCase):
    def setUp(self):
        self.alice = alice()
        self.headers = auth(self.alice)

    def begin(self, password=PASSWORD):
        return self.post(TOTP, {"password": password}, **self.headers)

    def confirm(self, code):
        return self.post(CONFIRM, {"code": code}, **self.headers)

    def remove(self, code, password=PASSWORD):
        return self.client.delete(
            TOTP,
            {"password": password, "code": code},
            content_type="application/json",
            **self.headers,
        )

    def renew(self, code, password=PASSWORD):
        return self.post(CODES, {"password": password, "code": code}, **self.headers)

    def set_up(self):
        """Set up an app over the API; return its secret and the recovery codes."""
        secret = self.begin().json()["secret"]
        codes = self.confirm(code_of(secret, 0)).json()["recovery_codes"]
        return secret, codes

    def assert_wrong_code(self, response):
        self.assert_refused(response, 400, "invalid")
        (error,) = response.json()["errors"]
        assert (error["field"], error["code"]) == ("code", "invalid_totp")

    def test_it_sets_up_an_app(self):
        begun = self.begin().json()
        assert begun["otpauth_url"].startswith("otpauth://totp/alice%40example.com?")
        assert f"secret={begun['secret']}" in begun["otpauth_url"]
        assert not second_factor.is_enabled(self.alice)

        confirmed = self.confirm(code_of(begun["secret"], 0))

        assert confirmed.status_code == 200
        codes = confirmed.json()["recovery_codes"]
        assert len(set(codes)) == 10
        self.assert_refused(self.login(), 401, "totp_required")
        assert second_factor.verify(self.alice, code_of(begun["secret"]))
        assert second_factor.verify(self.alice, codes[0])

    def test_the_code_that_confirmed_does_not_sign_in(self):
        secret = self.begin().json()["secret"]
        code = code_of(secret, 0)
        self.confirm(code)

        assert not second_factor.verify(self.alice, code)

    def test_the_secret_cannot_be_read_where_it_waits(self):
        secret = self.begin().json()["secret"]

        assert secret not in TotpSetup.objects.get().secret

    def test_it_is_confirmed_at_another_process_than_it_was_begun_at(self):
        self.begin()
        secret = self.begin().json()["secret"]
        # What one process remembers, another does not.
        cache.clear()

        assert self.confirm(code_of(secret, 0)).status_code == 200
        assert not TotpSetup.objects.exists()

    def test_it_waits_for_ten_minutes(self):
        secret = self.begin().json()["secret"]
        TotpSetup.objects.update(begun_at=timezone.now() - TotpSetup.LIFETIME)

        answer = self.confirm(code_of(secret, 0))

        self.assert_refused(answer, 409, "totp_not_begun")

    def test_what_nobody_confirmed_is_forgotten(self):
        TotpSetup.objects.create(
            user=bob(), secret="…", begun_at=timezone.now() - TotpSetup.LIFETIME
        )

        self.begin()

        assert TotpSetup.objects.get().user == self.alice

    def test_it_begins_again_when_the_key_is_another(self):
        secret = self.begin().json()["secret"]
        TotpSetup.objects.update(secret="sealed with another key")

        answer = self.confirm(code_of(secret, 0))

        self.assert_refused(answer, 409, "totp_not_begun")

    def test_it_needs_the_password(self):
        self.assert_refused(self.begin("wrong password"), 400, "invalid")
        self.assert_refused(self.confirm("123456"), 409, "totp_not_begun")

    def test_a_wrong_code_sets_nothing_up_and_may_be_corrected(self):
        secret = self.begin().json()["secret"]

        self.assert_wrong_code(self.confirm(wrong(secret)))
        assert not second_factor.is_enabled(self.alice)
        assert self.confirm(code_of(secret, 0)).status_code == 200

    def test_codes_cannot_be_tried_for_ever(self):
        secret = self.begin().json()["secret"]
        for _ in range(10):
            self.confirm(wrong(secret))

        response = self.confirm(code_of(secret, 0))

        self.assert_refused(response, 429, "rate_limited")
        assert int(response["Retry-After"]) <= 900

    def test_beginning_again_forgets_the_first_secret(self):
        first = self.begin().json()["secret"]
        self.begin()

        self.assert_wrong_code(self.confirm(code_of(first, 0)))

    def test_there_is_one_app(self):
        secret, _codes = self.set_up()

        self.assert_refused(self.begin(), 409, "totp_enabled")
        self.assert_refused(self.confirm(code_of(secret)), 409, "totp_enabled")

    def test_a_set_up_of_somebody_else_cannot_be_confirmed(self):
        secret = self.begin().json()["secret"]

        response = self.post(CONFIRM, {"code": code_of(secret, 0)}, **auth(bob()))

        self.assert_refused(response, 409, "totp_not_begun")

    def test_it_says_how_things_stand(self):
        before = self.client.get(TOTP, **self.headers).json()
        self.set_up()
        after = self.client.get(TOTP, **self.headers).json()

        assert before == {
            "is_enabled": False,
            "is_required": False,
            "has_totp": False,
            "passkeys": 0,
            "recovery_codes_left": 0,
        }
        assert after == before | {
            "is_enabled": True,
            "has_totp": True,
            "recovery_codes_left": 10,
        }

    def test_it_removes_the_app_and_its_codes(self):
        secret, _codes = self.set_up()

        assert self.remove(code_of(secret)).status_code == 204
        assert not Authenticator.objects.exists()
        assert self.login().status_code == 200

    def test_removing_needs_password_and_code(self):
        secret, codes = self.set_up()

        self.assert_refused(self.remove(codes[0], "wrong password"), 400, "invalid")
        self.assert_wrong_code(self.remove(wrong(secret)))
        assert second_factor.has_totp(self.alice)
        assert self.remove(codes[0]).status_code == 204

    def test_the_codes_stay_for_a_passkey(self):
        _secret, codes = self.set_up()
        with_passkey(self.alice)
        self.remove(codes[0])

        assert second_factor.verify(self.alice, codes[1])

    def test_nothing_is_removed_or_renewed_where_there_is_nothing(self):
        self.assert_refused(self.remove("123456"), 409, "totp_disabled")
        self.assert_refused(self.renew("123456"), 409, "totp_disabled")

    def test_it_renews_recovery_codes(self):
        secret, old = self.set_up()

        response = self.renew(code_of(secret))

        new = response.json()["recovery_codes"]
        assert not second_factor.verify(self.alice, old[0])
        assert second_factor.verify(self.alice, new[0])

    def test_renewing_needs_password_and_code(self):
        secret, codes = self.set_up()

        self.assert_refused(self.renew(codes[0], "wrong password"), 400, "invalid")
        self.assert_wrong_code(self.renew(wrong(secret)))
        assert second_factor.verify(self.alice, codes[0])

    def test_every_change_ends_the_other_sessions_and_is_recorded_and_told(self):
        secret = self.begin().json()["secret"]
        codes = []
        steps = {
            "totp_added": lambda: self.confirm(code_of(secret, 0)),
            "recovery_codes_renewed": lambda: self.renew(code_of(secret)),
            "totp_removed": lambda: self.remove(codes[0]),
        }
        for action, step in steps.items():
            with self.subTest(action):
                other, browser = auth(self.alice), Client()
                browser.force_login(self.alice)

                response = step()
                codes = codes or response.json()["recovery_codes"][:0]
                if action == "recovery_codes_renewed":
                    codes = response.json()["recovery_codes"]

                assert self.client.get(ME, **self.headers).status_code == 200
                assert self.client.get(ME, **other).status_code == 401
                assert browser.get("/settings/profile").status_code == 302
                event = AuditEvent.objects.get(action=f"second_factor.{action}")
                assert (event.actor, event.object_id) == (
                    self.alice,
                    str(self.alice.pk),
                )
                assert mail.outbox[-1].to == [self.alice.email]
        assert len(mail.outbox) == 3

    def test_no_secret_is_logged(self):
        with self.assertLogs("tertulia", "DEBUG") as logs:
            secret, codes = self.set_up()
            second_factor.verify(self.alice, wrong(secret))
        told = " ".join(str(vars(record)) for record in logs.records)

        assert secret not in told
        assert not [code for code in codes if code in told]


class PolicyTests(JsonTestCase):
    """Who needs a second factor and has none, over the API and on sockets."""

    def setUp(self):
        self.alice = alice()
        policy = override_settings(MFA_REQUIRED_ROLES=["worker"])
        policy.enable()
        self.addCleanup(policy.disable)
        self.pair = self.login().json()
        self.headers = {"HTTP_AUTHORIZATION": f"Bearer {self.pair['access_token']}"}

    def get(self, path):
        return self.client.get(f"/api/v1{path}", **self.headers)

    def test_everything_waits_for_the_set_up(self):
        for path in ("/conversations", "/me/sessions", "/me/export", "/characters"):
            with self.subTest(path):
                self.assert_refused(self.get(path), 403, "totp_setup_required")
        response = self.post("/api/v1/auth/ws-ticket", **self.headers)
        self.assert_refused(response, 403, "totp_setup_required")

    def test_one_sees_oneself_and_leaves(self):
        assert self.get("/me").status_code == 200
        assert self.get("/me/totp").json()["is_required"]
        body = {"refresh_token": self.pair["refresh_token"]}
        assert self.post("/api/v1/auth/logout", body).status_code == 204

    def test_the_set_up_opens_everything_in_the_same_session(self):
        secret = self.post(TOTP, {"password": PASSWORD}, **self.headers).json()[
            "secret"
        ]
        self.post(CONFIRM, {"code": code_of(secret, 0)}, **self.headers)

        assert self.get("/conversations").status_code == 200

    def test_it_cannot_be_switched_off(self):
        secret = with_app(self.alice)
        response = self.client.delete(
            TOTP,
            {"password": PASSWORD, "code": code_of(secret)},
            content_type="application/json",
            **self.headers,
        )

        self.assert_refused(response, 403, "second_factor_required")
        assert second_factor.has_totp(self.alice)

    def test_the_app_can_go_where_a_passkey_stays(self):
        secret = with_app(self.alice)
        with_passkey(self.alice)
        response = self.client.delete(
            TOTP,
            {"password": PASSWORD, "code": code_of(secret)},
            content_type="application/json",
            **self.headers,
        )

        assert response.status_code == 204

    def test_sockets_refuse(self):
        browser = Client()
        browser.force_login(self.alice)
        ticket = issue_ticket(Session.objects.get())

        assert right_of(self.pair["access_token"]) is None
        assert redeem_ticket(ticket) is None
        assert browser_user(browser.session.session_key) is None

        with_app(self.alice)
        assert right_of(bearer(self.alice))
        assert browser_user(browser.session.session_key) == self.alice

    @override_settings(MFA_REQUIRED_ROLES=["worker"])
    def test_others_are_let_in(self):
        assert (
            self.client.get("/api/v1/conversations", **auth(ada())).status_code == 200
        )


# Of sign-ins at the same moment the limits on passwords would turn most away.
@override_settings(ACCOUNT_RATE_LIMITS={"login_failed": None}, RATELIMIT_ENABLE=False)
class RaceTests(TransactionTestCase):
    def setUp(self):
        self.alice = alice()
        self.secret = with_app(self.alice)

    def sign_in(self, totp):
        body = {"email": self.alice.email, "password": PASSWORD, "totp": totp}
        response = Client().post(LOGIN, body, content_type="application/json")
        return response.status_code

    def test_one_code_used_ten_times_at_once_opens_one_session(self):
        for code in (code_of(self.secret), with_codes(self.alice)[0]):
            Session.objects.all().delete()

            results = at_once([partial(self.sign_in, code)] * 10)

            assert sorted(results) == [200] + [401] * 9
            assert Session.objects.count() == 1

    def test_of_thirty_wrong_ones_at_once_ten_are_looked_at(self):
        code = wrong(self.secret)

        results = at_once([partial(self.sign_in, code)] * 30)

        assert sorted(results) == [401] * 10 + [429] * 20

    def test_all_recovery_codes_at_once_work(self):
        codes = with_codes(self.alice)

        results = at_once([partial(self.sign_in, code) for code in codes])

        assert results == [200] * 10
        assert second_factor.recovery_codes_left(self.alice) == 0

    def test_one_set_up_confirmed_at_once_gives_codes_once(self):
        removal.remove_totp(User.objects.get())
        headers = auth(self.alice)
        client = Client(**headers)
        begun = client.post(
            TOTP, {"password": PASSWORD}, content_type="application/json"
        )
        body = {"code": code_of(begun.json()["secret"], 0)}

        def confirm():
            return Client(**headers).post(
                CONFIRM, body, content_type="application/json"
            )

        results = at_once([confirm] * 5)

        statuses = sorted(response.status_code for response in results)
        assert statuses == [200] + [409] * 4
        assert Authenticator.objects.count() == 2
