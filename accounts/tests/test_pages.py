"""Signing up, in and out in a browser, and one's own pages."""

import re
import time
from datetime import date, timedelta
from unittest import mock

from django.core import mail
from django.http import HttpResponse
from django.test import TestCase, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.models import Profile, User
from accounts.tests.factories import PASSWORD, alice, auth, bob, change, everything

SIGN_UP = "/accounts/signup/"
PROFILE = "/settings/profile"
SIGN_IN = "/accounts/login/"


class SignUpTests(TestCase):
    def sign_up(self, **fields):
        body = {"email": "alice@example.com", "password1": PASSWORD} | fields
        return self.client.post(SIGN_UP, body)

    def test_it_asks_for_email_and_one_password(self):
        form = self.client.get(SIGN_UP).context["form"]

        assert list(form.fields) == ["email", "password1", "display_name", "birthdate"]
        assert [n for n, field in form.fields.items() if field.required] == [
            "email",
            "password1",
        ]

    def test_it_makes_an_account_and_leads_to_signing_in(self):
        response = self.sign_up(
            email="ALICE@Example.com", display_name="Alice", birthdate="1990-05-17"
        )

        self.assertRedirects(response, SIGN_IN)
        user = User.objects.get()
        assert user.email == "alice@example.com"
        assert user.check_password(PASSWORD)
        assert user.role == User.Role.WORKER
        assert user.profile.display_name == "Alice"
        assert user.profile.birthdate == date(1990, 5, 17)
        assert "_auth_user_id" not in self.client.session

    def test_it_fills_the_sign_in_in_down_to_the_password(self):
        # As it was typed: browsers have kept the password under that name.
        page = self.client.get(self.sign_up(email=" ALICE@Example.com ")["Location"])

        assert page.context["form"]["login"].value() == "ALICE@Example.com"
        self.assertContains(page, "autofocus", count=1)
        password = page.context["form"]["password"]
        assert "autofocus" in str(password)
        self.assertContains(page, "Your account is ready: sign in with the password")

    def test_it_leads_where_one_wanted_to_go_and_keeps_the_email_out_of_addresses(self):
        response = self.sign_up(next=PROFILE)

        assert response["Location"] == f"{SIGN_IN}?next=%2Fsettings%2Fprofile"
        page = self.client.get(response["Location"])
        self.assertContains(page, f'name="next" value="{PROFILE}"')

    def test_it_leads_to_no_foreign_site(self):
        assert self.sign_up(next="https://evil.example/")["Location"] == SIGN_IN

    def test_it_forgets_the_email_after_an_hour_and_after_signing_in(self):
        self.sign_up()
        with mock.patch("accounts.arrivals.time.time", return_value=time.time() + 3601):
            assert not self.client.get(SIGN_IN).context["form"]["login"].value()

        form = {"login": "alice@example.com", "password": PASSWORD}
        assert self.client.post(SIGN_IN, form)["Location"] == "/"
        self.client.post("/accounts/logout/")
        assert not self.client.get(SIGN_IN).context["form"]["login"].value()
        assert "alice@example.com" not in str(dict(self.client.session))

    def test_signing_in_is_not_filled_in_for_anybody_else(self):
        page = self.client.get(SIGN_IN)

        assert not page.context["form"]["login"].value()
        self.assertNotContains(page, "autofocus")

    def test_it_takes_the_language_of_the_request(self):
        body = {"email": "alice@example.com", "password1": PASSWORD}
        self.client.post(SIGN_UP, body, headers={"Accept-Language": "es-AR"})

        assert Profile.objects.get().language == "es"

    def test_a_registered_email_changes_nothing_in_any_spelling(self):
        alice()
        before = everything()
        for email in ("alice@example.com", "ALICE@example.com", "alice@ｅxample.com"):
            with self.subTest(email):
                response = self.sign_up(email=email, password1="another long password")

                assert response["Location"] == SIGN_IN
        assert everything() == before

    def test_it_refuses_weak_passwords_and_impossible_birthdates(self):
        tomorrow = str(timezone.localdate() + timedelta(days=1))

        weak = self.sign_up(password1="password")
        unborn = self.sign_up(birthdate=tomorrow)

        assert "password1" in weak.context["form"].errors
        assert "birthdate" in unborn.context["form"].errors
        assert not User.objects.exists()

    def test_it_gives_nobody_rights_they_ask_for(self):
        self.sign_up(role="admin", is_staff="on", is_superuser="on", plan="1")

        assert User.objects.get().role == User.Role.WORKER

    @override_settings(REGISTRATION="closed")
    def test_it_says_when_registration_is_closed(self):
        for response in (self.client.get(SIGN_UP), self.sign_up()):
            assert "account/signup_closed.html" in [t.name for t in response.templates]
        assert not User.objects.exists()


class SignInTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def sign_in(self, password=PASSWORD, email="alice@example.com", **more):
        return self.client.post(SIGN_IN, {"login": email, "password": password} | more)

    def test_it_signs_in_and_goes_where_one_wanted_to_go(self):
        response = self.sign_in(next=PROFILE)

        assert response["Location"] == PROFILE

    def test_it_goes_to_no_foreign_site(self):
        assert self.sign_in(next="https://evil.example/")["Location"] == "/"

    def test_it_knows_the_email_in_every_spelling(self):
        assert self.sign_in(email=" ALICE@ｅxample.com").status_code == 302

    def test_it_shares_the_count_of_failures_with_the_api(self):
        for _ in range(5):
            self.client.post(
                "/api/v1/auth/login",
                {"email": "alice@example.com", "password": "wrong password"},
                content_type="application/json",
            )

        assert self.sign_in().status_code == 429
        assert "_auth_user_id" not in self.client.session

    def test_it_says_the_same_of_everyone_it_refuses(self):
        unknown = self.sign_in(email="nobody@example.com")
        wrong = self.sign_in("wrong password")

        assert unknown.context["form"].errors == wrong.context["form"].errors

    def test_it_keeps_deactivated_people_out(self):
        self.client.force_login(self.alice)
        change(self.alice, is_active=False)

        assert self.client.get(PROFILE).status_code == 302
        assert self.sign_in()["Location"] == "/accounts/inactive/"
        assert self.client.get(PROFILE).status_code == 302

    def test_it_signs_out_by_post_only(self):
        self.client.force_login(self.alice)

        self.client.get("/accounts/logout/")
        assert "_auth_user_id" in self.client.session

        self.client.post("/accounts/logout/")
        assert "_auth_user_id" not in self.client.session

    def test_it_is_the_door_of_the_admin_site(self):
        response = self.client.get("/admin/login/")

        assert response.status_code == 302
        assert response["Location"].startswith(SIGN_IN)
        self.client.force_login(self.alice)
        assert self.client.get("/admin/login/").status_code == 403

    def test_addresses_are_the_operators_to_change(self):
        page, mine = reverse("account_email"), {"email": "alice@example.com"}
        assert self.client.get(page)["Location"] == f"{SIGN_IN}?next={page}"
        self.client.force_login(self.alice)

        for answer in (
            self.client.get(page),
            self.client.post(page, {"action_add": "", "email": "bob@example.com"}),
            self.client.post(page, {"action_primary": ""} | mine),
        ):
            assert answer["Location"] == reverse("security")
        assert not self.alice.emailaddress_set.exists()


class PasswordTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def test_it_resets_by_mail_and_ends_every_session(self):
        header = auth(self.alice)
        elsewhere = self.client_class()
        elsewhere.force_login(self.alice)

        self.client.post("/accounts/password/reset/", {"email": "Alice@Example.com"})
        link = re.search(r"/accounts/password/reset/key/\S+", mail.outbox[0].body)[0]
        form = self.client.get(link, follow=True)
        new = "another long password"
        self.client.post(
            form.redirect_chain[-1][0], {"password1": new, "password2": new}
        )

        assert User.objects.get().check_password(new)
        assert self.client.get("/api/v1/me", **header).status_code == 401
        assert elsewhere.get(PROFILE).status_code == 302

    def test_it_sends_nothing_that_tells_who_has_an_account(self):
        known = self.client.post(
            "/accounts/password/reset/", {"email": "alice@example.com"}
        )
        unknown = self.client.post(
            "/accounts/password/reset/", {"email": "bob@example.com"}
        )

        assert known["Location"] == unknown["Location"]

    def test_it_changes_the_password_and_ends_other_sessions(self):
        header = auth(self.alice)
        elsewhere = self.client_class()
        elsewhere.force_login(self.alice)
        self.client.force_login(self.alice)
        new = "another long password"

        self.client.post(
            "/accounts/password/change/",
            {"oldpassword": PASSWORD, "password1": new, "password2": new},
        )

        assert User.objects.get().check_password(new)
        assert self.client.get("/api/v1/me", **header).status_code == 401
        assert elsewhere.get(PROFILE).status_code == 302
        assert self.client.get(PROFILE).status_code == 200


class ProfilePageTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def setUp(self):
        self.client.force_login(self.alice)

    def save(self, **fields):
        body = {"display_name": "Alice", "time_zone": "UTC"} | fields
        return self.client.post(PROFILE, body)

    def test_it_is_for_people_signed_in(self):
        self.client.logout()

        assert self.client.get(PROFILE)["Location"] == f"{SIGN_IN}?next={PROFILE}"

    def test_it_shows_and_saves_the_profile(self):
        form = self.client.get(PROFILE).context["form"]
        assert form["display_name"].value() == "Alice"

        response = self.save(
            display_name="Alicia", gender="female", time_zone="America/Mexico_City"
        )

        assert response["Location"] == PROFILE
        profile = Profile.objects.get()
        assert profile.display_name == "Alicia"
        assert profile.gender == "female"
        assert profile.time_zone == "America/Mexico_City"

    def test_it_refuses_unknown_values(self):
        for name, value in {
            "time_zone": "Mars/Olympus",
            "display_name": "a\0b",
            "birthdate": "2999-01-01",
        }.items():
            with self.subTest(name):
                response = self.save(**{name: value})
                assert response.status_code == 422
                assert name in response.context["form"].errors

    def test_it_lets_the_birthdate_be_set_once(self):
        self.save(birthdate="2010-05-17")
        self.save(birthdate="1990-05-17")

        assert Profile.objects.get().birthdate == date(2010, 5, 17)
        assert self.client.get(PROFILE).context["form"].fields["birthdate"].disabled

    def test_it_says_when_the_birthdate_was_set_meanwhile(self):
        set_by_another_tab = mock.patch(
            "accounts.forms.ProfileForm.is_valid",
            autospec=True,
            side_effect=self.is_valid_but_late,
        )

        with set_by_another_tab:
            response = self.save(birthdate="1990-05-17")

        assert response.status_code == 422
        assert "birthdate" in response.context["form"].errors
        assert Profile.objects.get().birthdate == date(2010, 5, 17)

    @staticmethod
    def is_valid_but_late(form):
        Profile.objects.update(birthdate=date(2010, 5, 17))
        return not form.errors

    def test_it_speaks_the_language_of_the_profile(self):
        Profile.objects.update(language="es")

        response = self.client.get(PROFILE, headers={"Accept-Language": "en"})

        assert response["Content-Language"] == "es"

    async def test_it_does_so_where_requests_are_asynchronous(self):
        await Profile.objects.aupdate(language="es")
        await self.async_client.aforce_login(self.alice)

        response = await self.async_client.get(PROFILE)

        assert response.status_code == 200
        assert response["Content-Language"] == "es"

    def test_it_tells_times_in_the_time_zone_of_the_profile(self):
        Profile.objects.update(time_zone="Asia/Tokyo")

        with mock.patch("accounts.views.profile.render") as render:
            render.side_effect = lambda *_args, **_options: HttpResponse(
                timezone.get_current_timezone_name()
            )
            response = self.client.get(PROFILE)

        assert response.content == b"Asia/Tokyo"
        assert timezone.get_current_timezone_name() == "UTC"

    def test_it_reads_the_user_and_profile_in_one_query(self):
        # Session, user with profile, and the form's own profile.
        with self.assertNumQueries(3):
            self.client.get(PROFILE)

    def test_it_changes_nobody_else(self):
        other = bob()

        self.save(display_name="Eve", user=str(other.pk), id=str(other.pk))

        assert Profile.objects.get(user=other).display_name == "Bob"
