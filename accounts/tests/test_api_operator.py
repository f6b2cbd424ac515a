"""What administrators, and programs with the operator key, do over the API."""

import hmac
from functools import partial
from unittest import mock

from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.test import TestCase, TransactionTestCase, override_settings

from accounts import administration
from accounts.authentication import operator_key
from accounts.data import deletion
from accounts.errors import LastAdmin
from accounts.models import AuditEvent, Plan, Session, Team, User
from accounts.tests.cases import JsonTestCase
from accounts.tests.factories import ada, alice, auth, bob, charlie, make_user, sofia
from accounts.tests.races import at_once

SECRET = "an operator key of more than thirty-two characters"
KEY = {"HTTP_X_ADMIN_KEY": SECRET}


class OperatorTestCase(JsonTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.ada, cls.alice = ada(), alice()
        cls.team = Team.objects.create(name="Day shift")
        cls.plan = Plan.objects.create(name="Plus", daily_units=5)
        cls.auth = auth(cls.ada)

    def get(self, path, **query):
        return self.client.get(f"/api/v1/admin/{path}", query, **self.auth)

    def patch(self, user, body, suffix="", **headers):
        return self.client.patch(
            f"/api/v1/admin/users/{user.pk}{suffix}",
            body,
            content_type="application/json",
            **(headers or self.auth),
        )

    def set_active(self, user, is_active, **headers):
        return self.patch(user, {"is_active": is_active}, "/active", **headers)

    def events(self):
        return [
            (event.action, event.details)
            for event in AuditEvent.objects.exclude(action__startswith="sign")
            .exclude(action__startswith="session")
            .order_by("at")
        ]


class UsersTests(OperatorTestCase):
    def test_it_lists_users_by_pages(self):
        bob(), charlie()

        page = self.get("users", limit=2, offset=1).json()

        assert page["count"] == 4
        assert [user["email"] for user in page["results"]] == [
            "bob@example.com",
            "alice@example.com",
        ]

    def test_it_finds_users(self):
        bob(role=User.Role.SUPERVISOR, team=self.team)
        make_user("dora@example.com", is_active=False)

        def found(**query):
            page = self.get("users", **query).json()
            return {user["email"].partition("@")[0] for user in page["results"]}

        assert found(q="ALICE") == {"alice"}
        assert found(q="Bob") == {"bob"}
        assert found(role="supervisor") == {"bob"}
        assert found(is_active="false") == {"dora"}
        assert found(team=str(self.team.pk)) == {"bob"}
        assert found(role="worker", is_active="true") == {"alice"}
        assert found(q="nobody") == set()

    def test_it_refuses_nonsense_as_a_filter(self):
        for query in ({"role": "king"}, {"is_active": "x"}, {"team": "x"}):
            self.assert_refused(self.get("users", **query), 400, "invalid")

    def test_it_lists_users_in_a_constant_number_of_queries(self):
        with self.assertNumQueries(3):
            self.get("users")
        for number in range(5):
            make_user(f"{number}@example.com", team=self.team, plan=self.plan)

        with self.assertNumQueries(3):
            self.get("users")

    def test_it_shows_a_user(self):
        user = bob(team=self.team, plan=self.plan)

        shown = self.get(f"users/{user.pk}").json()

        assert shown["display_name"] == "Bob"
        assert shown["team"] == {"id": str(self.team.pk), "name": "Day shift"}
        assert shown["plan"] == {"id": str(self.plan.pk), "name": "Plus"}
        assert (shown["daily_units"], shown["daily_limit"]) == (None, 5)
        assert not {"password", "refresh_hash"} & shown.keys()

    def test_it_changes_rights_and_limits_and_says_what_was_before(self):
        answer = self.patch(
            self.alice,
            {
                "role": "supervisor",
                "team": str(self.team.pk),
                "plan": str(self.plan.pk),
                "daily_units": 7,
            },
        )

        assert answer.status_code == 200, answer.content
        user = User.objects.get(pk=self.alice.pk)
        assert (user.role, user.team, user.plan, user.daily_units) == (
            "supervisor",
            self.team,
            self.plan,
            7,
        )
        assert self.events() == [
            (action, {"old": old, "new": new, "via": "api"})
            for action, old, new in (
                ("user.role_changed", "worker", "supervisor"),
                ("user.team_changed", None, "Day shift"),
                ("user.plan_changed", None, "Plus"),
                ("user.daily_units_changed", None, 7),
            )
        ]

    def test_it_records_who_changed_whom(self):
        self.patch(self.alice, {"daily_units": 7})

        event = AuditEvent.objects.get(action="user.daily_units_changed")
        assert event.actor == self.ada
        assert (event.object_type, event.object_id) == ("user", str(self.alice.pk))
        assert event.ip == "127.0.0.1"
        assert event.request_id

    def test_it_records_nothing_where_nothing_changes(self):
        self.patch(self.alice, {"role": "worker", "team": None, "daily_units": None})

        assert self.events() == []

    def test_it_takes_back_team_and_plan(self):
        user = bob(team=self.team, plan=self.plan, daily_units=3)

        self.patch(user, {"team": None, "plan": None, "daily_units": None})

        user = User.objects.get(pk=user.pk)
        assert (user.team, user.plan, user.daily_units) == (None, None, None)

    def test_another_role_ends_sessions(self):
        auth(self.alice)

        self.patch(self.alice, {"role": "supervisor"})

        assert not Session.objects.live().filter(user=self.alice).exists()

    def test_it_refuses_what_is_not_a_right_or_a_limit(self):
        for body in (
            {"role": "king"},
            {"daily_units": -1},
            {"daily_units": 2**31},
            {"team": "x"},
            {"plan": str(self.team.pk)},
        ):
            self.assert_refused(self.patch(self.alice, body), 400, "invalid")
        self.patch(self.alice, {"email": "x@example.com", "password": "x"})
        assert User.objects.get(pk=self.alice.pk).email == "alice@example.com"

    def test_it_keeps_people_out_and_lets_them_in(self):
        auth(self.alice)

        answer = self.set_active(self.alice, False)

        assert answer.json()["is_active"] is False
        assert not Session.objects.live().filter(user=self.alice).exists()
        assert self.set_active(self.alice, True).json()["is_active"] is True
        assert [action for action, _details in self.events()] == [
            "user.active_changed",
            "user.active_changed",
        ]

    def test_nobody_is_let_into_an_account_that_is_being_deleted(self):
        deletion.remove(self.alice, actor=self.ada, via="admin")

        answer = self.set_active(self.alice, True)

        self.assert_refused(answer, 409, "being_deleted")
        assert not User.objects.get(pk=self.alice.pk).is_active

    def test_an_administrator_does_not_shut_themself_out(self):
        make_user("another@example.com", role=User.Role.ADMIN)

        self.assert_refused(self.set_active(self.ada, False), 409, "own_account")

    def test_the_last_administrator_stays(self):
        make_user("away@example.com", role=User.Role.ADMIN, is_active=False)

        self.assert_refused(self.set_active(self.ada, False), 409, "last_admin")
        self.assert_refused(self.patch(self.ada, {"role": "worker"}), 409, "last_admin")
        user = User.objects.get(pk=self.ada.pk)
        assert (user.role, user.is_active) == ("admin", True)
        assert self.events() == []

    def test_what_there_is_not_is_not_found(self):
        nobody = User()
        self.assert_refused(self.get(f"users/{nobody.pk}"), 404, "not_found")
        for body in ({"role": "king"}, {"role": "worker"}):
            self.assert_refused(self.patch(nobody, body), 404, "not_found")
        self.assert_refused(self.set_active(nobody, False), 404, "not_found")


class WhoMayTests(OperatorTestCase):
    paths = ("users", "users/{}", "teams", "audit", "metrics")

    def test_it_is_not_for_workers_and_supervisors(self):
        for user in (self.alice, sofia(team=self.team)):
            self.auth = auth(user)
            for path in self.paths:
                answer = self.get(path.format(self.alice.pk))
                self.assert_refused(answer, 403, "permission_denied")
            answer = self.patch(self.alice, {"role": "king"})
            self.assert_refused(answer, 403, "permission_denied")

    def test_it_is_not_for_who_is_not_signed_in(self):
        self.auth = {}
        for path in self.paths:
            answer = self.get(path.format(self.alice.pk))
            self.assert_refused(answer, 401, "not_authenticated")
        answer = self.patch(self.alice, {"role": "king"}, HTTP_ACCEPT="*/*")
        self.assert_refused(answer, 401, "not_authenticated")


class OperatorKeyTests(OperatorTestCase):
    def ask(self, key=SECRET, path="users", **headers):
        headers = {"HTTP_X_ADMIN_KEY": key} | headers
        return self.client.get(f"/api/v1/admin/{path}", **headers)

    @override_settings(ADMIN_SECRET=SECRET)
    def test_it_opens_everything(self):
        for path in ("users", f"users/{self.alice.pk}", "teams", "audit", "metrics"):
            assert self.ask(path=path).status_code == 200, path
        assert self.set_active(self.alice, False, **KEY).status_code == 200

    @override_settings(ADMIN_SECRET=SECRET)
    def test_how_long_it_is_compared_tells_nothing(self):
        for key in (SECRET, "wrong", SECRET[:-1], ""):
            for is_same in (True, False):
                with mock.patch.object(
                    operator_key, "compare_digest", return_value=is_same
                ) as compared:
                    answer = self.ask(key)
                assert answer.status_code == (200 if is_same else 401)
                # Of the same length whatever was sent, so not even that is told.
                ((given, secret),) = (call.args for call in compared.call_args_list)
                assert len(given) == len(secret) == 32
        assert operator_key.compare_digest is hmac.compare_digest

    @override_settings(ADMIN_SECRET=SECRET)
    def test_it_opens_nothing_else(self):
        for path in ("me", "conversations"):
            answer = self.client.get(f"/api/v1/{path}", **KEY)
            self.assert_refused(answer, 401, "not_authenticated")

    def test_it_means_nothing_where_none_is_set(self):
        for key in (SECRET, "", "anything"):
            for _ in range(12):
                self.assert_refused(self.ask(key), 401, "not_authenticated")
        # Beside a token it changes nothing either.
        assert self.ask("anything", **self.auth).status_code == 200
        assert self.events() == []

    @override_settings(ADMIN_SECRET=SECRET)
    def test_a_wrong_one_is_recorded_and_soon_not_listened_to(self):
        for _ in range(10):
            self.assert_refused(self.ask("wrong"), 401, "not_authenticated")

        for key in ("wrong", SECRET):
            answer = self.ask(key)
            self.assert_refused(answer, 429, "rate_limited")
            assert int(answer["Retry-After"]) > 0
        assert self.ask(SECRET, REMOTE_ADDR="192.0.2.7").status_code == 200
        refused = AuditEvent.objects.filter(action="operator_key.refused")
        assert refused.count() == 10
        assert "wrong" not in str(list(refused.values()))

    @override_settings(ADMIN_SECRET=SECRET)
    def test_what_is_read_with_it_is_recorded_now_and_then(self):
        for _ in range(3):
            self.ask()
        self.ask(REMOTE_ADDR="192.0.2.7")

        used = ("operator_key.used", {"method": "GET", "path": "/api/v1/admin/users"})
        assert self.events() == [used, used]
        cache.clear()  # as time does
        self.ask()
        assert self.events() == [used, used, used]

    @override_settings(ADMIN_SECRET=SECRET)
    def test_what_is_changed_with_it_is_recorded(self):
        self.patch(self.alice, {"daily_units": 7}, **KEY)

        used, changed = self.events()
        path = f"/api/v1/admin/users/{self.alice.pk}"
        assert used == ("operator_key.used", {"method": "PATCH", "path": path})
        assert changed[1]["via"] == "operator_key"
        assert AuditEvent.objects.get(action="user.daily_units_changed").actor is None

    @override_settings(ADMIN_SECRET=SECRET)
    def test_it_does_not_remove_the_last_administrator(self):
        answer = self.set_active(self.ada, False, **KEY)

        self.assert_refused(answer, 409, "last_admin")


class TeamTests(OperatorTestCase):
    def make(self, name):
        return self.post("/api/v1/admin/teams", {"name": name}, **self.auth)

    def test_it_makes_a_team_and_lists_it(self):
        made = self.make("Night shift")
        bob(team=self.team)

        assert made.status_code == 201
        assert made.json()["members"] == 0
        teams = self.get("teams").json()["results"]
        assert [(team["name"], team["members"]) for team in teams] == [
            ("Day shift", 1),
            ("Night shift", 0),
        ]
        assert self.events() == [("team.made", {"via": "api"})]

    def test_it_refuses_a_second_of_the_same_name(self):
        self.assert_refused(self.make("Day shift"), 400, "invalid")
        self.assert_refused(self.make(""), 400, "invalid")


class AuditTests(OperatorTestCase):
    def test_it_lists_what_was_done_and_by_whom(self):
        self.patch(self.alice, {"daily_units": 7})
        self.patch(self.alice, {"role": "supervisor"})

        page = self.get("audit", action="user.role_changed").json()
        (event,) = page["results"]
        assert event["actor"] == {"id": str(self.ada.pk), "email": "ada@example.com"}
        assert event["details"]["old"] == "worker"
        assert self.get("audit", actor=str(self.alice.pk)).json()["count"] == 0
        self.assert_refused(self.get("audit", actor="x"), 400, "invalid")

    def test_an_event_outlives_its_actor(self):
        boss = make_user("boss@example.com", role=User.Role.ADMIN)
        self.patch(self.alice, {"daily_units": 7}, **auth(boss))
        boss_id = str(boss.pk)
        boss.delete()

        page = self.get("audit", actor=boss_id).json()

        (event,) = page["results"]
        assert event["actor"] == {"id": boss_id, "email": None}

    def test_it_lists_them_in_a_constant_number_of_queries(self):
        self.patch(self.alice, {"daily_units": 1})
        with self.assertNumQueries(4):
            self.get("audit")
        for number in range(2, 6):
            self.patch(self.alice, {"daily_units": number})

        with self.assertNumQueries(4):
            self.get("audit")


class AccessTests(TestCase):
    """Whom one sees, and whose account one changes."""

    @classmethod
    def setUpTestData(cls):
        ours, theirs = (Team.objects.create(name=name) for name in ("Ours", "Theirs"))
        cls.alice, cls.bob = alice(team=ours), bob(team=ours)
        cls.sofia, cls.ada = sofia(team=ours), ada(team=ours)
        cls.simon = make_user("simon@example.com", role="supervisor", team=theirs)
        cls.charlie = charlie(team=theirs)
        cls.everyone = {*User.objects.all()}

    def sees(self, user):
        return {*User.objects.visible_to(user)}

    def test_administrators_see_everyone_and_change_everyones_account(self):
        assert self.sees(self.ada) == self.everyone
        assert {*User.objects.managed_by(self.ada)} == self.everyone

    def test_supervisors_see_the_workers_of_their_team_and_themself(self):
        assert self.sees(self.sofia) == {self.sofia, self.alice, self.bob}
        assert not User.objects.managed_by(self.sofia).exists()

    def test_a_supervisor_without_a_team_sees_only_themself(self):
        lone = make_user("lone@example.com", role="supervisor")
        make_user("loner@example.com")

        assert self.sees(lone) == {lone}

    def test_workers_see_themself(self):
        assert self.sees(self.alice) == {self.alice}
        assert not User.objects.managed_by(self.alice).exists()

    def test_who_is_deactivated_or_unknown_sees_nobody(self):
        self.ada.is_active = False
        for nobody in (self.ada, AnonymousUser()):
            assert self.sees(nobody) == set()
            assert not User.objects.managed_by(nobody).exists()


class LastAdminRaceTests(TransactionTestCase):
    def test_of_two_who_demote_one_another_one_stays(self):
        for round_ in range(3):
            User.objects.all().delete()
            one = make_user(f"one{round_}@example.com", role=User.Role.ADMIN)
            two = make_user(f"two{round_}@example.com", role=User.Role.ADMIN)

            results = at_once(
                [
                    partial(
                        administration.change, two, actor=one, via="api", role="worker"
                    ),
                    partial(
                        administration.change,
                        one,
                        actor=two,
                        via="api",
                        is_active=False,
                    ),
                ]
            )

            assert sum(isinstance(result, LastAdmin) for result in results) == 1, (
                results
            )
            admins = User.objects.filter(role=User.Role.ADMIN, is_active=True)
            assert admins.count() == 1
