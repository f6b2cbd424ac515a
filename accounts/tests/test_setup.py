"""The link that makes the first administrator."""

from datetime import timedelta

from django.test import Client, TestCase
from django.utils import timezone

from accounts.models import AuditEvent, SetupLink, User
from accounts.setup import setup_link
from accounts.tests.factories import PASSWORD, ada, alice, charlie

FORM = {"email": "Ada@Example.com", "password": PASSWORD, "display_name": "Ada"}


class SetupTests(TestCase):
    def path(self):
        link = setup_link("https://chat.example.com/")
        assert link.startswith("https://chat.example.com/setup/")
        return link.removeprefix("https://chat.example.com")

    def test_it_makes_the_first_administrator_and_signs_in(self):
        path = self.path()
        assert self.client.get(path).context["form"]

        response = self.client.post(path, FORM)

        assert response["Location"] == "/setup/second-factor"
        user = User.objects.get()
        assert user.email == "ada@example.com"
        assert user.role == User.Role.ADMIN
        assert user.check_password(PASSWORD)
        assert user.profile.display_name == "Ada"
        assert self.client.session["_auth_user_id"] == str(user.pk)
        event = AuditEvent.objects.get(action="setup.administrator_made")
        assert (event.actor, event.object_id) == (user, str(user.pk))

    def test_it_asks_for_no_password_again_to_set_up_a_second_factor(self):
        self.client.post(self.path(), FORM)

        assert self.client.get("/accounts/2fa/totp/activate/").status_code == 200

    def test_it_takes_no_look_alike_for_an_email(self):
        answer = self.client.post(self.path(), FORM | {"email": "bıll@example.com"})

        assert answer.status_code == 422
        assert "email" in answer.context["form"].errors
        assert not User.objects.exists()

    def test_it_works_once(self):
        path, other = self.path(), self.path()
        self.client.post(path, FORM)

        stranger = Client()
        for dead in (path, other):
            assert stranger.get(dead).status_code == 404
            assert stranger.post(dead, FORM).status_code == 404
        assert setup_link("http://localhost") is None
        assert User.objects.count() == 1

    def test_it_says_that_the_link_is_used_up(self):
        path = self.path()
        unknown = self.client.get("/setup/x")
        self.client.post(path, FORM)

        used = Client().get(path)

        self.assertContains(unknown, "Start the server again", status_code=404)
        self.assertContains(used, "has its administrator", status_code=404)
        self.assertContains(used, "/accounts/login/?next=/setup/", status_code=404)

    def test_going_back_and_sending_it_again_leads_on(self):
        path = self.path()
        self.client.post(path, FORM)

        for answer in (self.client.get(path), self.client.post(path, FORM)):
            self.assertRedirects(answer, "/setup/second-factor")
        assert User.objects.count() == 1

    def test_it_works_for_a_day(self):
        path = self.path()
        SetupLink.objects.update(created_at=timezone.now() - SetupLink.LIFETIME)

        assert self.client.get(path).status_code == 404
        assert self.client.post(path, FORM).status_code == 404
        assert not User.objects.exists()

    def test_it_stores_no_link(self):
        path = self.path()

        assert SetupLink.objects.get().digest not in path

    def test_it_is_not_guessed(self):
        self.path()

        for token in ("x", "a" * 64, SetupLink.objects.get().digest):
            assert self.client.get(f"/setup/{token}").status_code == 404
            assert self.client.post(f"/setup/{token}", FORM).status_code == 404
        assert not User.objects.exists()

    def test_it_ends_when_an_administrator_exists(self):
        path = self.path()
        ada()

        assert self.client.get(path).status_code == 404
        assert self.client.post(path, FORM).status_code == 404

    def test_it_outlives_a_stranger_who_registered_first(self):
        path = self.path()
        charlie()

        assert self.client.post(path, FORM)["Location"] == "/setup/second-factor"

    def test_it_says_what_is_wrong(self):
        path = self.path()
        alice()
        for name, value in {
            "email": "alice@example.com",
            "password": "password",
            "display_name": "a" * 81,
        }.items():
            with self.subTest(name):
                response = self.client.post(path, FORM | {name: value})
                assert response.status_code == 422
                assert list(response.context["form"].errors) == [name]
        assert User.objects.count() == 1
        assert self.client.get(path).status_code == 200

    def test_it_forgets_links_nobody_followed(self):
        self.path()
        old = timezone.now() - SetupLink.LIFETIME - timedelta(seconds=1)
        SetupLink.objects.update(created_at=old)

        self.path()

        assert SetupLink.objects.count() == 1
