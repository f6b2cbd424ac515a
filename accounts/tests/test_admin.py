"""What the operator does with accounts."""

from allauth.account.models import EmailAddress
from django.core import mail
from django.test import TestCase
from django.urls import reverse

from accounts.models import AuditEvent, Plan, Session, Team, User
from accounts.tests.factories import PASSWORD, ada, alice, bearer, charlie, sofia

NEW_PASSWORD = {
    "password1": "another long password",
    "password2": "another long password",
}


class AdminTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ada = ada()
        cls.alice = alice(
            team=Team.objects.create(name="Team"),
            plan=Plan.objects.create(name="Plus", daily_units=5),
        )
        bearer(cls.alice)

    def setUp(self):
        self.client.force_login(self.ada)

    def change(self, **fields):
        path = reverse("admin:accounts_user_change", args=[self.alice.pk])
        body = {
            "email": "alice@example.com",
            "role": "worker",
            "is_active": "on",
            "profile-TOTAL_FORMS": "1",
            "profile-INITIAL_FORMS": "1",
            "profile-0-user": str(self.alice.pk),
            "profile-0-display_name": "Alice",
            "profile-0-language": "en",
            "profile-0-time_zone": "UTC",
        } | fields
        response = self.client.post(
            path, {name: value for name, value in body.items() if value is not None}
        )
        assert response.status_code == 302, response.context["errors"]
        return User.objects.get(pk=self.alice.pk)

    def act(self, model, action, *objects):
        return self.client.post(
            reverse(f"admin:accounts_{model}_changelist"),
            {"action": action, "_selected_action": [str(o.pk) for o in objects]},
        )

    def test_it_shows_every_page(self):
        pages = ["user", "team", "plan", "session"]
        for page in pages:
            path = reverse(f"admin:accounts_{page}_changelist")
            assert self.client.get(path).status_code == 200, page
            assert self.client.get(path, {"q": "alice"}).status_code == 200, page
        for page, row in (("user", self.alice), ("session", Session.objects.get())):
            path = reverse(f"admin:accounts_{page}_change", args=[row.pk])
            assert self.client.get(path).status_code == 200, page

    def test_it_is_for_administrators_only(self):
        for user in (charlie(), sofia()):
            self.client.force_login(user)
            path = reverse("admin:accounts_user_changelist")
            assert self.client.get(path, follow=True).status_code == 403

    def test_it_lists_users_in_a_constant_number_of_queries(self):
        path = reverse("admin:accounts_user_changelist")
        with self.assertNumQueries(9) as few:
            self.client.get(path)
        for number in range(5):
            User.objects.create_user(f"user{number}@example.com")

        with self.assertNumQueries(len(few)):
            self.client.get(path)

    def test_it_makes_a_user_with_a_profile(self):
        response = self.client.post(
            reverse("admin:accounts_user_add"),
            {
                "email": "Bob@Example.com",
                "role": "supervisor",
                "usable_password": "true",
                "password1": PASSWORD,
                "password2": PASSWORD,
            },
        )

        assert response.status_code == 302
        bob = User.objects.get(email="bob@example.com")
        assert bob.role == User.Role.SUPERVISOR
        assert bob.check_password(PASSWORD)
        assert bob.profile.language == "en"

    def test_it_refuses_a_registered_email(self):
        response = self.client.post(
            reverse("admin:accounts_user_add"),
            {
                "email": "ALICE@example.com",
                "role": "worker",
                "usable_password": "true",
                "password1": PASSWORD,
                "password2": PASSWORD,
            },
        )

        assert "email" in response.context["adminform"].form.errors

    def test_it_changes_the_profile_and_keeps_sessions(self):
        user = self.change(**{"profile-0-display_name": "Alicia"})

        assert user.profile.display_name == "Alicia"
        assert Session.objects.live().exists()

    def test_it_ends_sessions_with_the_role(self):
        assert self.change(role="admin").role == User.Role.ADMIN

        assert not Session.objects.live().exists()

    def test_it_ends_sessions_with_the_account(self):
        assert not self.change(is_active=None).is_active

        assert Session.objects.get().revoked_at is not None

    def test_it_does_not_let_the_old_address_in(self):
        EmailAddress.objects.create(user=self.alice, email="alice@example.com")

        self.change(email="alicia@example.com")

        client = self.client_class()
        for email, status in (("alice@example.com", 401), ("alicia@example.com", 200)):
            response = client.post(
                "/api/v1/auth/login",
                {"email": email, "password": PASSWORD},
                content_type="application/json",
            )
            assert response.status_code == status, email

    def test_it_sets_a_password_and_ends_sessions(self):
        new = "another long password"
        path = reverse("admin:auth_user_password_change", args=[self.alice.pk])

        self.client.post(
            path, {"usable_password": "true", "password1": new, "password2": new}
        )

        assert User.objects.get(pk=self.alice.pk).check_password(new)
        assert not Session.objects.live().exists()

    def test_it_tells_whose_password_it_set(self):
        path = reverse("admin:auth_user_password_change", args=[self.alice.pk])
        for fields, word in (
            ({"usable_password": "true"} | NEW_PASSWORD, "set a new password"),
            ({"usable_password": "false", "unset-password": "1"}, "took the password"),
        ):
            with self.subTest(word), self.captureOnCommitCallbacks(execute=True):
                mail.outbox.clear()
                self.client.post(path, fields)

            (letter,) = mail.outbox
            assert letter.to == [self.alice.email]
            assert word in letter.body
            assert NEW_PASSWORD["password1"] not in letter.body

    def test_it_tells_nobody_of_a_password_it_refused(self):
        path = reverse("admin:auth_user_password_change", args=[self.alice.pk])

        with self.captureOnCommitCallbacks(execute=True):
            self.client.post(path, {"usable_password": "true", "password1": "short"})
            # Which the form takes, and Django's page does not.
            self.client.post(path, {"usable_password": "false"})

        assert not mail.outbox
        changed = AuditEvent.objects.filter(action="user.password_changed")
        assert not changed.exists()
        assert User.objects.get(pk=self.alice.pk).check_password(PASSWORD)

    def test_it_sends_administrators_to_their_own_page_for_their_own_password(self):
        own = str(self.ada.pk)
        name = "admin:auth_user_password_change"
        path = reverse(name, args=[own])

        for answer in (
            self.client.get(reverse(name, args=[own.upper()])),
            self.client.get(path),
            self.client.post(path, {"usable_password": "true"} | NEW_PASSWORD),
        ):
            assert answer["Location"] == "/accounts/password/change/"
        assert User.objects.get(pk=self.ada.pk).check_password(PASSWORD)

    def test_it_keeps_chosen_users_out_but_not_oneself(self):
        self.act("user", "deactivate", self.alice, self.ada)

        assert not User.objects.get(pk=self.alice.pk).is_active
        assert User.objects.get(pk=self.ada.pk).is_active
        assert not Session.objects.live().exists()

        self.act("user", "activate", self.alice)
        assert User.objects.get(pk=self.alice.pk).is_active
        assert not Session.objects.live().exists()

    def test_it_ends_chosen_sessions(self):
        self.act("session", "revoke", Session.objects.get())

        assert not Session.objects.live().exists()

    def test_it_shows_no_secret(self):
        session = Session.objects.get()
        page = self.client.get(
            reverse("admin:accounts_session_change", args=[session.pk])
        )

        self.assertNotContains(page, session.refresh_hash)
