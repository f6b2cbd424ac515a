"""What administrators do on the admin site, and what is recorded of it."""

from django.contrib.admin.models import LogEntry
from django.core import mail
from django.test import TestCase
from django.urls import reverse

from accounts.authentication.sessions import open_session
from accounts.models import AuditEvent, Plan, Team, User
from accounts.tests.factories import PASSWORD, ada, alice, bob, charlie


def recorded():
    return [
        (event.action, event.object_id, event.details)
        for event in AuditEvent.objects.order_by("at")
    ]


class AdminSiteCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ada = ada()

    def setUp(self):
        self.client.force_login(self.ada)

    def act(self, model, action, *objects, **more):
        chosen = [str(o.pk) for o in objects]
        return self.client.post(
            reverse(f"admin:accounts_{model}_changelist"),
            {"action": action, "_selected_action": chosen} | more,
        )

    def send(self, page, *args, **fields):
        answer = self.client.post(reverse(f"admin:{page}", args=args), fields)
        assert answer.status_code == 302, answer.content
        return answer


class SessionTests(AdminSiteCase):
    def test_signing_somebody_out_is_recorded(self):
        first, second = alice(), bob()
        open_session(first)
        open_session(first)

        self.act("user", "sign_out", first, second)

        (event,) = AuditEvent.objects.all()
        assert event.action == "sessions.ended"
        assert (event.actor, event.object_id) == (self.ada, str(first.pk))
        assert event.details == {"count": 2, "via": "admin site"}

    def test_ending_a_session_is_recorded_once(self):
        user = alice()
        open_session(user)
        session = user.api_sessions.get()

        self.act("session", "revoke", session)
        self.act("session", "revoke", session)

        how = {"session": str(session.pk), "via": "admin site"}
        assert recorded() == [("session.ended", str(user.pk), how)]


class GroupTests(AdminSiteCase):
    """Teams decide who reads whose conversations; plans, what they may use."""

    def test_what_is_done_with_a_team_is_recorded(self):
        self.send("accounts_team_add", name="Day shift")
        team = Team.objects.get()
        self.send("accounts_team_change", team.pk, name="Night shift")
        self.send("accounts_team_delete", team.pk, post="yes")

        pk, door = str(team.pk), {"via": "admin site"}
        renamed = door | {"field": "name", "old": "Day shift", "new": "Night shift"}
        assert recorded() == [
            ("team.made", pk, door | {"team": "Day shift"}),
            ("team.changed", pk, renamed),
            ("team.deleted", pk, door | {"team": "Night shift"}),
        ]

    def test_what_is_done_with_a_plan_is_recorded(self):
        self.send("accounts_plan_add", name="Plus", daily_units=5)
        plan = Plan.objects.get()
        self.send("accounts_plan_change", plan.pk, name="Plus", daily_units=9)
        self.send("accounts_plan_delete", plan.pk, post="yes")

        pk, door = str(plan.pk), {"via": "admin site"}
        raised = door | {"field": "daily_units", "old": 5, "new": 9}
        assert recorded() == [
            ("plan.made", pk, door | {"plan": "Plus", "daily_units": 5}),
            ("plan.changed", pk, raised),
            ("plan.deleted", pk, door | {"plan": "Plus", "daily_units": 9}),
        ]

    def test_who_loses_a_team_or_a_plan_with_it_is_recorded(self):
        team = Team.objects.create(name="Day shift")
        plan = Plan.objects.create(name="Plus", daily_units=5)
        member = alice(team=team, plan=plan)
        charlie()

        self.act("team", "delete_selected", team, post="yes")
        self.act("plan", "delete_selected", plan, post="yes")

        stored = User.objects.get(pk=member.pk)
        assert (stored.team, stored.plan) == (None, None)
        of_her = AuditEvent.objects.filter(object_id=str(member.pk)).order_by("at")
        assert [(event.action, event.details) for event in of_her] == [
            (
                "user.team_changed",
                {"old": "Day shift", "new": None, "via": "admin site"},
            ),
            ("user.plan_changed", {"old": "Plus", "new": None, "via": "admin site"}),
        ]
        assert {event.actor for event in AuditEvent.objects.all()} == {self.ada}

    def test_what_stays_as_it_was_is_not_recorded(self):
        team = Team.objects.create(name="Day shift")

        self.send("accounts_team_change", team.pk, name="Day shift")

        assert recorded() == []


class OwnPasswordTests(AdminSiteCase):
    def test_there_is_one_page_to_change_ones_own_password(self):
        page = reverse("admin:password_change")
        new = "another long password"
        body = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}

        for answer in (self.client.get(page), self.client.post(page, body)):
            self.assertRedirects(answer, reverse("account_change_password"))
        assert User.objects.get().check_password(PASSWORD)
        assert mail.outbox == []


class AddressTests(AdminSiteCase):
    def change(self, user, email, **fields):
        return self.client.post(
            reverse("admin:accounts_user_change", args=[user.pk]),
            {
                "email": email,
                "role": user.role,
                "is_active": "on",
                "profile-TOTAL_FORMS": "1",
                "profile-INITIAL_FORMS": "1",
                "profile-0-user": str(user.pk),
                "profile-0-display_name": user.profile.display_name,
                "profile-0-language": "en",
                "profile-0-time_zone": "UTC",
            }
            | fields,
        )

    def test_what_is_changed_of_a_profile_is_recorded_and_not_its_words(self):
        user = alice()

        self.change(user, user.email, **{"profile-0-display_name": "Somebody"})

        assert recorded() == [
            ("profile.changed", str(user.pk), {"fields": ["display_name"]})
        ]

    def test_a_user_has_one_address_and_it_is_on_their_page(self):
        assert self.client.get("/admin/account/emailaddress/").status_code == 404

    def test_another_spelling_is_no_change(self):
        user = alice()

        assert self.change(user, "Alice@Example.com").status_code == 302

        assert recorded() == []
        assert User.objects.get(pk=user.pk).email == "alice@example.com"
        entry = LogEntry.objects.filter(object_id=str(user.pk)).first()
        assert entry is None or "email" not in entry.change_message.lower()

    def test_a_look_alike_is_refused(self):
        user = bob()

        changed = self.change(user, "bıll@example.com")
        added = self.client.post(
            reverse("admin:accounts_user_add"),
            {
                "email": "bıll@example.com",
                "role": "worker",
                "usable_password": "true",
                "password1": PASSWORD,
                "password2": PASSWORD,
            },
        )

        for answer in (changed, added):
            assert "email" in answer.context["adminform"].form.errors
        assert User.objects.get(pk=user.pk).email == "bob@example.com"
