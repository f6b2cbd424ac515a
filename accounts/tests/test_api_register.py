"""Making an account over the API."""

from datetime import date, timedelta

from django.test import override_settings
from django.utils import timezone

from accounts.models import User
from accounts.tests.cases import JsonTestCase
from accounts.tests.factories import PASSWORD, alice, everything

REGISTER = "/api/v1/auth/register"


class RegisterTests(JsonTestCase):
    def register(self, **fields):
        body = {"email": "alice@example.com", "password": PASSWORD} | fields
        return self.post(REGISTER, body)

    def test_it_answers_the_user_with_their_profile(self):
        response = self.register(
            display_name="Alice", birthdate="1990-05-17", gender="female"
        )

        assert response.status_code == 201
        user = User.objects.get()
        assert response.json() | {"created_at": None} == {
            "id": str(user.pk),
            "email": "alice@example.com",
            "role": "worker",
            "plan": None,
            "display_name": "Alice",
            "birthdate": "1990-05-17",
            "gender": "female",
            "language": "en",
            "time_zone": "UTC",
            "avatar_url": None,
            "created_at": None,
        }
        assert user.check_password(PASSWORD)
        assert "no-store" in response["Cache-Control"]

    def test_it_takes_the_language_of_the_request(self):
        body = {"email": "alice@example.com", "password": PASSWORD}
        response = self.post(REGISTER, body, HTTP_ACCEPT_LANGUAGE="es-MX,es;q=0.9")

        assert response.json()["language"] == "es"

    def test_it_answers_with_a_trailing_slash(self):
        body = {"email": "alice@example.com", "password": PASSWORD}
        assert self.post(REGISTER + "/", body).status_code == 201

    @override_settings(REGISTRATION="closed")
    def test_it_is_refused_where_registration_is_closed(self):
        self.assert_refused(self.register(), 403, "registration_closed")
        assert not User.objects.exists()

    def test_a_registered_email_is_answered_and_changes_nothing_in_any_spelling(self):
        alice()
        before = everything()
        for email in (
            "alice@example.com",
            "ALICE@Example.COM",
            " alice@example.com ",
            "ａｌｉｃｅ@example.com",
            "alice@ｅｘａｍｐｌｅ.com",
        ):
            with self.subTest(email):
                response = self.register(
                    email=email, password="another long password", display_name="Eve"
                )

                assert response.status_code == 201
                user = response.json()
                assert user["email"] == "alice@example.com"
                assert user["display_name"] == "Eve"
                assert not User.objects.filter(pk=user["id"]).exists()
        assert everything() == before

    def test_a_registered_email_is_refused_for_what_any_other_is_refused_for(self):
        alice()
        for field, value in (("password", "short"), ("birthdate", "soon")):
            with self.subTest(field):
                known = self.register(**{field: value})
                unknown = self.register(email="nobody@example.com", **{field: value})

                self.assert_refused(known, 400, "invalid")
                assert known.content == unknown.content

    def test_it_refuses_weak_passwords(self):
        for password in ("short", "password", "alice@example.com"):
            with self.subTest(password):
                response = self.register(password=password)

                self.assert_refused(response, 400, "invalid")
                assert response.json()["errors"][0]["field"] == "password"

    def test_it_keeps_spaces_in_a_password(self):
        self.register(password=f" {PASSWORD} ")

        assert User.objects.get().check_password(f" {PASSWORD} ")

    def test_it_refuses_impossible_birthdates(self):
        today = timezone.localdate()
        for born in (
            today + timedelta(days=1),
            date(today.year - 131, 12, 31),
            "1990-02-30",
            "soon",
            5,
        ):
            with self.subTest(born):
                response = self.register(birthdate=str(born))

                self.assert_refused(response, 400, "invalid")
                assert response.json()["errors"][0]["field"] == "birthdate"

    def test_it_gives_nobody_rights_they_ask_for(self):
        response = self.register(
            role="admin",
            is_staff=True,
            is_superuser=True,
            plan="gold",
            daily_units=10**9,
            id="00000000-0000-0000-0000-000000000000",
            is_active=False,
            created_at="2001-01-01T00:00:00Z",
        )

        assert response.status_code == 201
        user = User.objects.get()
        assert user.role == "worker"
        assert not user.is_staff
        assert user.is_active
        assert user.daily_units is None
        assert user.pk.int != 0
        assert user.created_at.date() == timezone.now().date()

    def test_it_refuses_what_a_database_cannot_hold(self):
        for field in ("email", "password", "display_name", "gender", "birthdate"):
            for text in ("a\0b", "a\ud800b"):
                with self.subTest(field=field, text=ascii(text)):
                    response = self.register(**{field: text})
                    self.assert_refused(response, 400, "malformed")

    def test_it_refuses_bodies_of_another_shape(self):
        for body in ("null", "[]", "5", '"text"', "{}"):
            with self.subTest(body):
                response = self.client.generic(
                    "POST", REGISTER, body, content_type="application/json"
                )
                self.assert_refused(response, 400, "invalid")
        broken = self.client.generic(
            "POST", REGISTER, "{", content_type="application/json"
        )
        self.assert_refused(broken, 400, "malformed")
        form = self.client.post(REGISTER, {"email": "alice@example.com"})
        self.assert_refused(form, 415, "unsupported_media_type")

    def test_it_ignores_a_stale_token(self):
        body = {"email": "alice@example.com", "password": PASSWORD}
        response = self.post(REGISTER, body, HTTP_AUTHORIZATION="Bearer stale")

        assert response.status_code == 201
