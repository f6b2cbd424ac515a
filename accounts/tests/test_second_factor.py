"""What a second factor is worth, wherever it is shown."""

import json
from unittest import mock

from allauth.mfa.models import Authenticator
from django.core import mail
from django.core.cache import cache
from django.test import Client, TestCase, TransactionTestCase, override_settings
from django.urls import reverse

from accounts.authentication import sessions
from accounts.errors import RateLimited
from accounts.mfa import second_factor
from accounts.models import AuditEvent, Session
from accounts.tests.factories import PASSWORD, ada, alice, auth, bob, sofia
from accounts.tests.second_factors import (
    code_of,
    with_app,
    with_codes,
    with_passkey,
    wrong,
)

ROWS = Authenticator.objects


def stored() -> str:
    return json.dumps(list(ROWS.values_list("data", flat=True)))


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("at").values_list("action", flat=True))


def sign_in(client, user):
    """Sign in with the password, and show it again for what matters."""
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})


def later(seconds):
    """Let time pass for codes and locks."""
    now = second_factor.time.time()
    return mock.patch("time.time", return_value=now + seconds)


class CodeTests(TestCase):
    def setUp(self):
        self.alice = alice()
        self.secret = with_app(self.alice)

    def test_it_takes_the_code_of_the_app_once(self):
        code = code_of(self.secret)

        assert second_factor.verify(self.alice, code)
        assert not second_factor.verify(self.alice, code)

    def test_it_refuses_a_used_code_after_the_memory_of_the_process_is_gone(self):
        code = code_of(self.secret)
        second_factor.verify(self.alice, code)
        cache.clear()

        assert not second_factor.verify(self.alice, code)

    def test_it_refuses_the_codes_before_a_used_one(self):
        second_factor.verify(self.alice, code_of(self.secret))

        assert not second_factor.verify(self.alice, code_of(self.secret, 0))

    def test_the_code_of_the_set_up_is_used_by_it(self):
        assert not second_factor.verify(self.alice, code_of(self.secret, 0))

    def test_it_takes_the_codes_of_a_clock_that_is_a_step_off(self):
        for behind in (-1, 0, 1):
            with self.subTest(behind), later(600):
                ROWS.filter(user=self.alice).delete()
                secret = with_app(self.alice)
                row = ROWS.get(user=self.alice)
                row.data["used"] = 0
                row.save()

                assert second_factor.verify(self.alice, code_of(secret, behind))

    def test_it_refuses_codes_of_other_times(self):
        for ahead in (-2, 2):
            assert not second_factor.verify(self.alice, code_of(self.secret, ahead))

    def test_it_reads_a_code_with_spaces(self):
        code = code_of(self.secret)

        assert second_factor.verify(self.alice, f" {code[:3]} {code[3:]} ")

    def test_it_refuses_what_is_no_code(self):
        with_codes(self.alice)
        for nonsense in ("", " ", "------", "abcdef", "１２３４５６", "\0", "*" * 32):
            with self.subTest(nonsense):
                assert not second_factor.verify(self.alice, nonsense)

    def test_it_refuses_the_codes_of_others(self):
        secret = with_app(bob())

        assert not second_factor.verify(self.alice, code_of(secret))

    def test_it_refuses_all_codes_where_there_is_no_second_factor(self):
        assert not second_factor.verify(bob(), "123456")

    def test_it_refuses_and_says_why_when_the_key_is_another(self):
        with (
            self.settings(SECRET_KEY="another key, which was not there before"),
            self.assertLogs("tertulia.app", "ERROR"),
        ):
            assert not second_factor.verify(self.alice, code_of(self.secret))


class RecoveryCodeTests(TestCase):
    def setUp(self):
        self.alice = alice()
        with_app(self.alice)
        self.codes = with_codes(self.alice)

    def test_there_are_ten_of_twelve_digits(self):
        assert len(set(self.codes)) == 10
        assert all(len(code) == 12 and code.isdigit() for code in self.codes)

    def test_each_works_once(self):
        for code in self.codes:
            assert second_factor.verify(self.alice, code)
        for code in self.codes[:9]:
            assert not second_factor.verify(self.alice, code)
        assert second_factor.recovery_codes_left(self.alice) == 0

    def test_it_reads_one_with_dashes(self):
        code = self.codes[0]

        assert second_factor.verify(self.alice, f"{code[:4]}-{code[4:8]}-{code[8:]}")

    def test_new_ones_kill_the_old(self):
        renewed = with_codes(self.alice)

        assert not second_factor.verify(self.alice, self.codes[0])
        assert second_factor.verify(self.alice, renewed[0])

    def test_those_of_others_do_not_work(self):
        colleague = bob()
        with_app(colleague)
        with_codes(colleague)

        assert not second_factor.verify(colleague, self.codes[0])

    def test_what_is_stored_is_no_code(self):
        for kept in ROWS.get(type="recovery_codes").data["migrated_codes"]:
            assert not second_factor.verify(self.alice, kept)
            assert second_factor.recovery_codes_left(self.alice) == 10


class StorageTests(TestCase):
    def setUp(self):
        self.alice = alice()

    def test_neither_secret_nor_codes_can_be_read_in_the_database(self):
        secret = with_app(self.alice)
        codes = with_codes(self.alice)

        assert secret not in stored()
        assert not [code for code in codes if code in stored()]
        assert "seed" not in stored()


class LockTests(TestCase):
    def setUp(self):
        self.alice = alice()
        self.secret = with_app(self.alice)
        self.codes = with_codes(self.alice)

    def fail(self, times):
        for _ in range(times):
            assert not second_factor.verify(self.alice, wrong(self.secret))

    def test_ten_wrong_codes_close_the_door_to_right_ones(self):
        self.fail(10)

        for code in (code_of(self.secret), self.codes[0]):
            with self.assertRaises(RateLimited) as refused:
                second_factor.verify(self.alice, code)
            assert refused.exception.extra["retry_after"] == 900
        assert actions().count("second_factor.locked") == 1
        assert actions().count("sign_in.wrong_code") == 10

    def test_nine_do_not(self):
        self.fail(9)

        assert second_factor.verify(self.alice, code_of(self.secret))

    def test_it_counts_wrong_codes_of_both_kinds_together(self):
        self.fail(5)
        for _ in range(5):
            assert not second_factor.verify(self.alice, "0" * 12)

        with self.assertRaises(RateLimited):
            second_factor.verify(self.alice, code_of(self.secret))

    def test_a_right_code_takes_the_count_back(self):
        self.fail(9)
        second_factor.verify(self.alice, code_of(self.secret))
        self.fail(9)

        assert second_factor.verify(self.alice, self.codes[0])

    def test_it_opens_again_after_fifteen_minutes(self):
        self.fail(10)

        with later(899), self.assertRaises(RateLimited):
            second_factor.verify(self.alice, code_of(self.secret))
        with later(901):
            assert second_factor.verify(self.alice, code_of(self.secret))

    def test_it_does_not_forget_with_the_cache(self):
        self.fail(10)
        cache.clear()

        with self.assertRaises(RateLimited):
            second_factor.verify(self.alice, code_of(self.secret))

    def test_others_are_let_in(self):
        self.fail(10)
        colleague = bob()

        assert second_factor.verify(colleague, code_of(with_app(colleague)))

    def test_a_refused_attempt_uses_up_no_code(self):
        self.fail(10)
        with self.assertRaises(RateLimited):
            second_factor.verify(self.alice, self.codes[0])

        with later(901):
            assert second_factor.verify(self.alice, self.codes[0])


class PageTests(TransactionTestCase):
    """The second step of signing in with a browser."""

    def setUp(self):
        self.alice = alice()
        self.secret = with_app(self.alice)

    def sign_in(self, client=None, user=None, path="/accounts/login/"):
        body = {"login": (user or self.alice).email, "password": PASSWORD}
        return (client or self.client).post(path, body)

    def enter(self, code, client=None):
        return (client or self.client).post(
            "/accounts/2fa/authenticate/", {"code": code}
        )

    def is_in(self):
        return self.client.get("/settings/profile").status_code == 200

    def test_the_password_alone_opens_nothing(self):
        response = self.sign_in()

        assert response["Location"] == "/accounts/2fa/authenticate/"
        assert not self.is_in()

    def test_the_code_opens(self):
        self.sign_in()

        assert self.enter(code_of(self.secret)).status_code == 302
        assert self.is_in()

    def test_a_recovery_code_opens(self):
        code = with_codes(self.alice)[0]
        self.sign_in()
        self.enter(code)

        assert self.is_in()

    def test_a_code_that_was_used_over_the_api_does_not(self):
        code = code_of(self.secret)
        body = {"email": self.alice.email, "password": PASSWORD, "totp": code}
        self.client.post("/api/v1/auth/login", body, content_type="application/json")
        self.sign_in()

        self.assertContains(self.enter(code), "This code is wrong or was used before")
        assert not self.is_in()

    def test_it_says_when_to_come_back_after_ten_wrong_codes(self):
        self.sign_in()
        for _ in range(10):
            assert self.enter(wrong(self.secret)).status_code == 200

        response = self.enter(code_of(self.secret))

        self.assertContains(response, "try again in", status_code=429)
        assert response["Retry-After"] == "900"
        assert not self.is_in()

    def test_it_counts_the_same_over_the_api(self):
        self.sign_in()
        for _ in range(10):
            self.enter(wrong(self.secret))
        body = {
            "email": self.alice.email,
            "password": PASSWORD,
            "totp": code_of(self.secret),
        }

        response = self.client.post(
            "/api/v1/auth/login", body, content_type="application/json"
        )

        assert response.status_code == 429
        assert response.json()["code"] == "rate_limited"
        assert response.json()["retry_after"] == 900

    def test_the_admin_site_asks_for_it_too(self):
        admin = ada()
        secret = with_app(admin)
        door = self.client.get("/admin/", follow=True)
        assert door.redirect_chain[-1][0].startswith("/accounts/login/")

        self.sign_in(user=admin, path=door.redirect_chain[-1][0])
        assert self.client.get("/admin/accounts/user/").status_code == 302
        self.enter(wrong(secret))
        assert self.client.get("/admin/accounts/user/").status_code == 302
        response = self.enter(code_of(secret))

        assert response["Location"] == "/admin/"
        assert self.client.get("/admin/accounts/user/").status_code == 200

    def test_the_admin_site_has_no_door_of_its_own(self):
        admin = ada()
        with_app(admin)

        self.client.post(
            "/admin/login/", {"username": admin.email, "password": PASSWORD}
        )

        assert self.client.get("/admin/accounts/user/").status_code == 302


class ChangeTests(TransactionTestCase):
    """A change at one place is known at all others."""

    def setUp(self):
        self.alice = alice()
        sign_in(self.client, self.alice)
        self.elsewhere = Client()
        self.elsewhere.force_login(self.alice)
        self.program = sessions.open_session(self.alice)

    def assert_alone(self):
        assert self.client.get("/settings/profile").status_code == 200
        assert self.elsewhere.get("/settings/profile").status_code == 302
        assert not Session.objects.live().exists()

    def activate(self):
        secret = self.client.get("/accounts/2fa/totp/activate/").context["form"].secret
        body = {"code": code_of(secret, 0)}
        self.client.post("/accounts/2fa/totp/activate/", body)
        return secret

    def test_the_page_shows_the_codes_once_and_they_cannot_be_read_afterwards(self):
        secret = self.activate()

        first = self.client.get("/accounts/2fa/recovery-codes/")
        codes = first.context["unused_codes"]
        second = self.client.get("/accounts/2fa/recovery-codes/")

        assert len(codes) == 10
        self.assertContains(first, codes[0])
        self.assertNotContains(second, codes[0])
        assert len(second.context["unused_codes"]) == 10
        assert secret not in stored()
        assert "seed" not in stored()
        assert not [code for code in codes if code in stored()]
        assert second_factor.verify(self.alice, codes[0])
        assert second_factor.recovery_codes_left(self.alice) == 9

    def test_setting_up_ends_the_other_sessions(self):
        self.activate()

        self.assert_alone()
        assert "second_factor.totp_added" in actions()
        assert mail.outbox[-1].to == [self.alice.email]

    def test_removing_ends_the_other_sessions(self):
        secret = self.activate()
        sessions.open_session(self.alice)
        self.elsewhere.force_login(self.alice)

        code = code_of(secret)
        self.client.post("/accounts/2fa/totp/deactivate/", {"code": code})

        self.assert_alone()
        assert "second_factor.totp_removed" in actions()
        assert not ROWS.exists()

    def test_new_recovery_codes_end_the_other_sessions(self):
        self.activate()
        sessions.open_session(self.alice)
        self.elsewhere.force_login(self.alice)

        self.client.post("/accounts/2fa/recovery-codes/generate/")

        self.assert_alone()
        assert actions()[-1] == "second_factor.recovery_codes_renewed"

    def test_removing_a_passkey_ends_the_other_sessions(self):
        key = with_passkey(self.alice)

        self.client.post(f"/accounts/2fa/webauthn/keys/{key.pk}/remove/")

        self.assert_alone()
        assert "second_factor.passkey_removed" in actions()
        assert not ROWS.exists()


class RemovalByOperatorTests(TestCase):
    def setUp(self):
        self.ada, self.alice = ada(), alice()
        self.client.force_login(self.ada)

    def remove(self, *users):
        return self.client.post(
            reverse("admin:accounts_user_changelist"),
            {
                "action": "remove_second_factor",
                "_selected_action": [str(user.pk) for user in users],
            },
            follow=True,
        )

    def test_it_takes_everything_and_ends_the_sessions(self):
        with_app(self.alice)
        with_codes(self.alice)
        with_passkey(self.alice)
        headers = auth(self.alice)

        response = self.remove(self.alice)

        self.assertContains(response, "The second factor of 1 user is removed.")
        assert not ROWS.exists()
        assert self.client.get("/api/v1/me", **headers).status_code == 401
        event = AuditEvent.objects.get(action="second_factor.removed")
        assert (event.actor, event.object_id) == (self.ada, str(self.alice.pk))

    def test_it_leaves_who_has_none_alone(self):
        headers = auth(self.alice)

        self.remove(self.alice)

        assert self.client.get("/api/v1/me", **headers).status_code == 200
        assert "second_factor.removed" not in actions()


class PolicyTests(TestCase):
    def setUp(self):
        self.alice = alice()

    def open(self, path="/settings/profile", user=None):
        self.client.force_login(user or self.alice)
        return self.client.get(path)

    def test_nobody_needs_one_by_default(self):
        assert not any(map(second_factor.is_required, (self.alice, ada(), sofia())))

    @override_settings(MFA_REQUIRED_ROLES=["admin", "supervisor"])
    def test_roles_can_need_one(self):
        assert second_factor.is_required(ada())
        assert second_factor.is_required(sofia())
        assert not second_factor.is_required(self.alice)

    def test_domains_can_need_one_however_they_are_written(self):
        for domain in ("example.com", " Example.COM "):
            with self.settings(MFA_REQUIRED_DOMAINS=[domain]):
                assert second_factor.is_required(self.alice)
        for domain in ("", "ample.com", "mail.example.com", "example.com.org"):
            with self.settings(MFA_REQUIRED_DOMAINS=[domain]):
                assert not second_factor.is_required(self.alice)

    @override_settings(MFA_REQUIRED_ROLES=["worker", "admin"])
    def test_who_has_none_is_led_to_setting_one_up(self):
        admin = ada()
        for path in ("/", "/settings/profile", "/settings/data", "/admin/", "/none"):
            with self.subTest(path):
                response = self.open(path, admin)
                self.assertRedirects(
                    response,
                    "/accounts/2fa/totp/activate/",
                    fetch_redirect_response=False,
                )

    @override_settings(MFA_REQUIRED_ROLES=["worker"])
    def test_the_page_says_why(self):
        sign_in(self.client, self.alice)

        page = self.client.get("/", follow=True)

        assert page.redirect_chain[-1][0] == "/accounts/2fa/totp/activate/"
        self.assertContains(page, "asks people like you for a second factor")

    @override_settings(MFA_REQUIRED_ROLES=["worker"])
    def test_leaving_and_the_language_stay_open(self):
        for path in ("/settings/language", "/accounts/logout/", "/health"):
            assert self.open(path).status_code == 200, path
        self.client.force_login(self.alice)
        said = self.client.post("/i18n/setlang/", {"language": "es", "next": "/"})
        assert said["Location"] == "/"
        assert self.client.post("/accounts/logout/")["Location"] == "/"

    @override_settings(MFA_REQUIRED_ROLES=["worker"])
    def test_everything_is_open_with_one(self):
        for give in (with_app, with_passkey):
            ROWS.all().delete()
            give(self.alice)
            assert self.open().status_code == 200

    @override_settings(MFA_REQUIRED_ROLES=["worker"])
    def test_recovery_codes_alone_are_none(self):
        with_codes(self.alice)

        assert self.open().status_code == 302

    @override_settings(MFA_REQUIRED_ROLES=["admin"])
    def test_who_needs_none_is_not_asked(self):
        assert self.open().status_code == 200

    @override_settings(MFA_REQUIRED_ROLES=["worker"])
    def test_the_last_one_stays(self):
        sign_in(self.client, self.alice)
        code = code_of(with_app(self.alice))

        response = self.client.post("/accounts/2fa/totp/deactivate/", {"code": code})

        assert response.status_code == 200
        assert second_factor.has_totp(self.alice)

    @override_settings(MFA_REQUIRED_ROLES=["worker"])
    def test_the_last_passkey_stays(self):
        sign_in(self.client, self.alice)
        keys = [with_passkey(self.alice), with_passkey(self.alice)]
        addresses = [f"/accounts/2fa/webauthn/keys/{key.pk}/remove/" for key in keys]

        removed, refused = map(self.client.post, addresses)

        assert removed.status_code == 302
        assert refused["Location"] == "/settings/security"

        assert ROWS.get() == keys[1]

    def test_nobody_removes_the_passkeys_of_others(self):
        sign_in(self.client, self.alice)
        key = with_passkey(bob())

        path = f"/accounts/2fa/webauthn/keys/{key.pk}/remove/"
        assert self.client.post(path).status_code == 404
        assert ROWS.get() == key
