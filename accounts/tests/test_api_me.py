"""One's own account over the API."""

from datetime import date

from allauth.account.models import EmailAddress
from django.test import override_settings

from accounts.data import deletion
from accounts.models import Plan, Profile, User
from accounts.tests.cases import ME, JsonTestCase
from accounts.tests.factories import PASSWORD, ada, alice, auth, bob, charlie


class MeTests(JsonTestCase):
    def setUp(self):
        self.alice = alice(plan=Plan.objects.create(name="Plus", daily_units=5))
        self.auth = auth(self.alice)

    def patch(self, body):
        return self.client.patch(ME, body, content_type="application/json", **self.auth)

    def delete(self, body, auth=None):
        return self.client.delete(
            ME, body, content_type="application/json", **(auth or self.auth)
        )

    def test_it_answers_who_asks(self):
        with self.assertNumQueries(1):
            response = self.client.get(ME, **self.auth)

        me = response.json()
        assert me["id"] == str(self.alice.pk)
        assert me["email"] == "alice@example.com"
        assert me["display_name"] == "Alice"
        assert me["role"] == "worker"
        assert me["plan"] == "Plus"
        assert me["avatar_url"] is None
        assert "no-store" in response["Cache-Control"]

    def test_it_answers_charlie_about_charlie_only(self):
        me = self.client.get(ME, **auth(charlie())).json()

        assert me["display_name"] == "Charlie"
        assert "alice" not in str(me).lower()

    def test_it_changes_the_profile(self):
        response = self.patch(
            {
                "display_name": "Alicia",
                "gender": "nonbinary",
                "language": "es",
                "time_zone": "America/Mexico_City",
                "birthdate": "1990-05-17",
            }
        )

        assert response.status_code == 200, response.content
        assert response.json()["time_zone"] == "America/Mexico_City"
        profile = Profile.objects.get()
        assert profile.display_name == "Alicia"
        assert profile.birthdate == date(1990, 5, 17)

    def test_it_keeps_what_is_not_sent(self):
        self.patch({"language": "es"})

        assert Profile.objects.get().display_name == "Alice"

    def test_it_refuses_unknown_values(self):
        for body in (
            {"time_zone": "Mars/Olympus"},
            {"language": "tlh"},
            {"gender": "unknown"},
            {"display_name": "a" * 81},
            {"birthdate": "2999-01-01"},
        ):
            with self.subTest(body):
                response = self.patch(body)
                self.assert_refused(response, 400, "invalid")
                assert response.json()["errors"][0]["field"] == next(iter(body))

    def test_it_lets_the_birthdate_be_set_once(self):
        assert self.patch({"birthdate": "2010-05-17"}).status_code == 200
        assert self.patch({"birthdate": "2010-05-17"}).status_code == 200

        for born in ("1990-05-17", None):
            self.assert_refused(
                self.patch({"birthdate": born}), 409, "birthdate_locked"
            )
        assert Profile.objects.get().birthdate == date(2010, 5, 17)

    def test_it_changes_nothing_when_the_birthdate_is_refused(self):
        self.patch({"birthdate": "2010-05-17"})

        self.patch({"birthdate": "1990-05-17", "display_name": "Eve"})

        assert Profile.objects.get().display_name == "Alice"

    def test_it_gives_nobody_rights_they_ask_for(self):
        other = bob()
        response = self.patch(
            {
                "id": str(other.pk),
                "user": str(other.pk),
                "user_id": str(other.pk),
                "email": "root@example.com",
                "role": "admin",
                "is_staff": True,
                "is_superuser": True,
                "is_active": False,
                "plan": None,
                "daily_units": 10**6,
                "team": "x",
                "avatar_url": "https://evil.example/a.png",
                "created_at": "2001-01-01T00:00:00Z",
            }
        )

        assert response.status_code == 200
        stored = User.objects.get(pk=self.alice.pk)
        for name in ("email", "role", "is_active", "plan_id", "daily_units", "team_id"):
            assert getattr(stored, name) == getattr(self.alice, name)
        assert stored.created_at == self.alice.created_at
        assert not stored.profile.avatar

    def test_it_knows_no_put(self):
        response = self.client.put(ME, {}, content_type="application/json", **self.auth)

        self.assert_refused(response, 405, "method_not_allowed")

    @override_settings(DELETION_GRACE_DAYS=0)
    def test_it_deletes_the_account_for_the_password(self):
        EmailAddress.objects.create(user=self.alice, email=self.alice.email)

        assert self.delete({"password": PASSWORD}).status_code == 202

        assert self.client.get(ME, **self.auth).status_code == 401
        assert self.login().status_code == 401
        assert deletion.sweep() == 1
        assert not User.objects.exists()

    def test_it_keeps_the_account_without_the_password(self):
        for body in ({}, {"password": "wrong password"}, {"password": None}):
            with self.subTest(body):
                response = self.delete(body)
                self.assert_refused(response, 400, "invalid")
                assert response.json()["errors"][0]["field"] == "password"
        assert User.objects.exists()

    def test_it_does_not_let_the_password_be_guessed(self):
        for _ in range(5):
            self.delete({"password": "wrong password"})

        self.assert_refused(self.delete({"password": PASSWORD}), 429, "rate_limited")

    def test_it_keeps_the_only_administrator(self):
        admin = ada()
        header = auth(admin)

        refused = self.delete({"password": PASSWORD}, header)
        self.assert_refused(refused, 409, "last_admin")

        bob(role=User.Role.ADMIN)
        assert self.delete({"password": PASSWORD}, header).status_code == 202
