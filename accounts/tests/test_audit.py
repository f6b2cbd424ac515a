"""What is recorded, that it stays as it is, and how the operator reads it."""

import csv
import io
import json
from unittest import mock

from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import AsyncClient, Client, TestCase, TransactionTestCase
from django.urls import reverse

from accounts import audit
from accounts.admin.audit import FORMULA, harmless
from accounts.models import AuditEvent, Session, Team, User
from accounts.origin import Origin, coming_from
from accounts.tests.cases import JsonTestCase
from accounts.tests.factories import PASSWORD, ada, alice, make_user, sofia


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("at").values_list("action", flat=True))


class RecordTests(TestCase):
    def test_it_says_who_did_what_to_whom_from_where(self):
        actor, user = ada(), alice()

        with coming_from(Origin("192.0.2.7", "a-request")):
            audit.record("user.praised", actor=actor, of=user, times=3)

        event = AuditEvent.objects.get()
        assert (event.actor, event.action) == (actor, "user.praised")
        assert (event.object_type, event.object_id) == ("user", str(user.pk))
        assert (event.ip, event.request_id) == ("192.0.2.7", "a-request")
        assert event.details == {"times": 3}

    def test_it_writes_a_line_too(self):
        for action, log in (
            ("user.praised", "tertulia.audit"),
            ("session.opened", "tertulia.auth"),
            ("sign_in.failed", "tertulia.auth"),
        ):
            with self.assertLogs(log, "INFO") as logs:
                audit.record(action)
            assert [record.message for record in logs.records] == [action]


class AppendOnlyTests(TestCase):
    def setUp(self):
        audit.record("user.praised")
        self.event = AuditEvent.objects.get()

    def test_the_model_refuses(self):
        self.event.action = "user.blamed"
        for attempt in (
            self.event.save,
            self.event.delete,
            AuditEvent.objects.all().delete,
            lambda: AuditEvent.objects.update(action="user.blamed"),
        ):
            with self.assertRaises(TypeError):
                attempt()

    def test_the_database_refuses(self):
        for statement in (
            "UPDATE accounts_auditevent SET action = 'user.blamed'",
            "DELETE FROM accounts_auditevent",
        ):
            self.assert_refused(statement)
        assert actions() == ["user.praised"]

    def test_nor_does_it_put_another_in_the_place_of_one(self):
        columns = "id, at, actor_id, action, object_type, object_id, request_id"
        values = """SELECT id, at, actor_id, 'user.blamed', object_type, object_id,
            request_id, details FROM accounts_auditevent """
        into = f"INTO accounts_auditevent ({columns}, details) {values}"
        if connection.vendor == "postgresql":
            statements = [
                f"INSERT {into} ON CONFLICT (id) DO UPDATE SET action = 'user.blamed'"
            ]
        else:
            statements = [
                f"INSERT OR REPLACE {into}",
                f"REPLACE {into}",
                f"INSERT OR REPLACE {into}".replace("(id,", "(rowid, id,").replace(
                    "SELECT id,", f"SELECT rowid, '{'f' * 32}',"
                ),
            ]
        for statement in statements:
            with self.subTest(statement):
                self.assert_refused(statement)
        assert actions() == ["user.praised"]

    def assert_refused(self, statement):
        with (
            self.assertRaisesMessage(DatabaseError, "neither changed nor deleted"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)

    def test_it_outlives_who_did_it_and_whom_it_was_about(self):
        actor, user = ada(), alice()
        audit.record("user.blamed", actor=actor, of=user)
        actor_id = actor.pk

        user.delete()
        actor.delete()

        event = AuditEvent.objects.with_actors().get(action="user.blamed")
        assert (event.actor_id, event.actor) == (actor_id, None)


class FlushTests(TransactionTestCase):
    """Tests that empty the tables still can, and the triggers stay."""

    def test_it_refuses_also_after_the_tables_were_emptied(self):
        audit.record("user.praised")
        call_command("flush", verbosity=0, interactive=False)
        assert actions() == []

        audit.record("user.praised")

        with self.assertRaises(DatabaseError), connection.cursor() as cursor:
            cursor.execute("DELETE FROM accounts_auditevent")


class SignInTests(JsonTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def test_the_api_records_coming_and_going(self):
        self.login(password="wrong password")
        tokens = self.login().json()
        gone = {"refresh_token": tokens["refresh_token"]}
        self.post("/api/v1/auth/logout", gone)
        self.post("/api/v1/auth/logout", gone)

        assert actions() == ["sign_in.failed", "session.opened", "session.signed_out"]
        failed, opened, left = AuditEvent.objects.order_by("at")
        assert (failed.actor, failed.object_id) == (None, str(self.alice.pk))
        assert opened.actor == left.actor == self.alice
        assert opened.ip == "127.0.0.1"
        assert PASSWORD not in str(list(AuditEvent.objects.values()))

    def test_the_pages_record_coming_and_going(self):
        form = {"login": "alice@example.com", "password": "wrong password"}
        self.client.post("/accounts/login/", form)
        self.client.post("/accounts/login/", {**form, "password": PASSWORD})
        self.client.post("/accounts/logout/")

        assert actions() == ["sign_in.failed", "session.opened", "session.signed_out"]

    def test_no_address_that_somebody_types_is_kept(self):
        typed = ("Nobody@example.com", "nobody@example.com", "x@example.com")
        for email in ("Alice@example.com", *typed):
            self.login(email, "wrong password")
            self.client.post(
                "/accounts/login/", {"login": email, "password": "wrong password"}
            )

        events = AuditEvent.objects.filter(action="sign_in.failed")
        assert events.count() == 8
        assert "example" not in str(list(events.values()))
        assert events.filter(object_id=str(self.alice.pk), details={}).count() == 2
        unknown = events.filter(object_id="")
        prints = [event.details["fingerprint"] for event in unknown]
        # One address in any spelling, another, and nothing to try words out on.
        assert sorted(map(prints.count, set(prints))) == [2, 4]
        with self.settings(SECRET_KEY="another secret key"):
            assert audit.fingerprint("x@example.com") not in prints

    def test_new_accounts_are_recorded(self):
        self.post(
            "/api/v1/auth/register", {"email": "bob@example.com", "password": PASSWORD}
        )
        Client().post(
            "/accounts/signup/", {"email": "eve@example.com", "password1": PASSWORD}
        )

        made = AuditEvent.objects.filter(action="user.registered").order_by("at")
        assert [event.actor.email for event in made] == [
            "bob@example.com",
            "eve@example.com",
        ]

    def test_a_refresh_token_that_comes_back_is_recorded(self):
        tokens = self.login().json()
        old = {"refresh_token": tokens["refresh_token"]}
        self.post("/api/v1/auth/refresh", old)
        long_ago = {"rotated_at": "2020-01-01T00:00Z"}
        Session.objects.update(**long_ago)

        self.post("/api/v1/auth/refresh", old)

        event = AuditEvent.objects.get(action="session.token_reused")
        assert event.actor == self.alice


class AdminSiteTests(TestCase):
    """What the operator changes on pages is recorded as what they change by API."""

    @classmethod
    def setUpTestData(cls):
        cls.ada, cls.alice = ada(), alice()
        cls.team = Team.objects.create(name="Day shift")

    def setUp(self):
        self.client.force_login(self.ada)

    def change(self, user, **fields):
        body = {
            "email": user.email,
            "role": user.role,
            "is_active": "on",
            "profile-TOTAL_FORMS": "1",
            "profile-INITIAL_FORMS": "1",
            "profile-0-user": str(user.pk),
            "profile-0-display_name": user.profile.display_name,
            "profile-0-language": "en",
            "profile-0-time_zone": "UTC",
        } | fields
        return self.client.post(
            reverse("admin:accounts_user_change", args=[user.pk]),
            {name: value for name, value in body.items() if value is not None},
        )

    def test_it_says_what_was_before(self):
        answer = self.change(self.alice, role="supervisor", team=str(self.team.pk))

        assert answer.status_code == 302, answer.content
        found = AuditEvent.objects.filter(object_id=str(self.alice.pk)).order_by("at")
        assert [(e.action, e.details["old"], e.details["new"]) for e in found] == [
            ("user.role_changed", "worker", "supervisor"),
            ("user.team_changed", None, "Day shift"),
        ]
        assert {event.actor for event in found} == {self.ada}

    def test_the_last_administrator_stays(self):
        for fields in ({"role": "worker"}, {"is_active": None}):
            answer = self.change(self.ada, **fields)
            self.assertContains(answer, "only administrator")
        stored = User.objects.get(pk=self.ada.pk)
        assert (stored.role, stored.is_active) == ("admin", True)

    def test_nobody_deletes_their_own_account_here(self):
        path = reverse("admin:accounts_user_delete", args=[self.ada.pk])

        assert self.client.post(path, {"post": "yes"}).status_code == 403

    def test_the_rest_is_recorded_too(self):
        new = "another long password"
        self.client.post(
            reverse("admin:auth_user_password_change", args=[self.alice.pk]),
            {"usable_password": "true", "password1": new, "password2": new},
        )
        self.client.post(
            reverse("admin:accounts_user_changelist"),
            {"action": "deactivate", "_selected_action": [str(self.alice.pk)]},
        )
        path = reverse("admin:accounts_user_delete", args=[self.alice.pk])
        self.client.post(path, {"post": "yes"})

        assert actions() == [
            "user.password_changed",
            "user.active_changed",
            "account.deletion_asked",
        ]


class AuditPageTests(TestCase):
    path = reverse("admin:accounts_auditevent_changelist")

    @classmethod
    def setUpTestData(cls):
        cls.ada = ada()
        with coming_from(Origin("192.0.2.7", "first-request")):
            audit.record("user.praised", actor=cls.ada, note="=1+1")
        audit.record("user.blamed", because="-2+3")

    def setUp(self):
        self.client.force_login(self.ada)

    def found(self, **query):
        return {
            e.action
            for e in self.client.get(self.path, query).context["cl"].result_list
        }

    def test_it_is_read_and_filtered(self):
        assert self.found() == {"user.praised", "user.blamed"}
        assert self.found(action="user.praised") == {"user.praised"}
        assert self.found(q="ada@example") == {"user.praised"}
        assert self.found(q="first-request") == {"user.praised"}
        assert self.found(actor__id__exact=str(self.ada.pk)) == {"user.praised"}
        assert self.found(at__year="2001") == set()

    def test_the_actor_leads_to_all_they_did_from_wherever_they_are_named(self):
        event = AuditEvent.objects.get(action="user.praised")
        page = reverse("admin:accounts_auditevent_change", args=[event.pk])
        theirs = f"{self.path}?actor__id__exact={self.ada.pk}"

        for shown in (self.path, page):
            self.assertContains(self.client.get(shown), f'<a href="{theirs}">')
        found = self.client.get(theirs).context["cl"].result_list
        assert [event.action for event in found] == ["user.praised"]

    def test_it_shows_an_event_whose_actor_is_gone(self):
        boss = make_user("boss@example.com", role="admin")
        audit.record("user.praised", actor=boss)
        event = AuditEvent.objects.get(actor=boss.pk)
        boss.delete()

        page = reverse("admin:accounts_auditevent_change", args=[event.pk])
        self.assertContains(self.client.get(page), str(event.actor_id))
        self.assertContains(self.client.get(self.path), str(event.actor_id))

    def test_it_lists_them_in_a_constant_number_of_queries(self):
        with self.assertNumQueries(8):
            self.client.get(self.path)
        for number in range(5):
            actor = make_user(f"{number}@example.com")
            audit.record("user.praised", actor=actor)

        with self.assertNumQueries(8):
            self.client.get(self.path)

    def test_it_changes_nothing(self):
        event = AuditEvent.objects.first()
        for name, args in (("add", []), ("change", [event.pk]), ("delete", [event.pk])):
            path = reverse(f"admin:accounts_auditevent_{name}", args=args)
            assert self.client.post(path, {"post": "yes"}).status_code == 403, name

    def test_it_is_for_administrators_only(self):
        for user in (alice(), sofia()):
            self.client.force_login(user)
            assert self.client.get(self.path, follow=True).status_code == 403


class CsvTests(TestCase):
    def test_a_spreadsheet_does_not_calculate(self):
        for cell in ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "  =1", "＝1"):
            assert harmless(cell) == f"'{cell}"
        for cell in ("user.praised", "2026-11-21", '{"a": 1}', ""):
            assert harmless(cell) == cell

    def test_nor_where_something_else_separates_the_cells(self):
        for separator in (";", "\t", "\r\n", "\n", "; ", ';"', ";\t", ',"'):
            evil = f"a{separator}=1+1{separator}＠b{separator}-c;"
            details = json.dumps({"name": evil, evil: [evil, "=1"]})
            lines = io.StringIO(newline="")
            csv.writer(lines).writerow(map(harmless, ("at", evil, details, evil)))
            for delimiter in ",;\t":
                for row in csv.reader(
                    io.StringIO(lines.getvalue(), newline=""), delimiter=delimiter
                ):
                    for cell in row:
                        with self.subTest(separator, cell=cell, delimiter=delimiter):
                            assert not cell.lstrip(' "').startswith(FORMULA[:4])
                            assert not cell.strip().startswith(FORMULA[-4:])

    async def test_it_hands_out_the_chosen_events(self):
        admin = await sync_to_async(ada)()
        evil = await sync_to_async(make_user)("=cmd@example.com")
        for number in range(5):
            await sync_to_async(audit.record)(f"@number.{number}", actor=evil)
        chosen = [
            str(e.pk) async for e in AuditEvent.objects.exclude(action="@number.0")
        ]
        client = AsyncClient()
        await sync_to_async(client.force_login)(admin)

        with mock.patch("accounts.admin.audit.CHUNK", 2):
            answer = await client.post(
                reverse("admin:accounts_auditevent_changelist"),
                {"action": "as_csv", "_selected_action": chosen},
            )
            body = b"".join([part async for part in answer.streaming_content])

        assert answer["Content-Type"] == "text/csv"
        assert answer["Content-Disposition"] == 'attachment; filename="audit.csv"'
        header, *rows = csv.reader(io.StringIO(body.decode()))
        assert header[:3] == ["at", "actor", "action"]
        assert [row[2] for row in rows] == [f"'@number.{n}" for n in (4, 3, 2, 1)]
        assert {row[1] for row in rows} == {"'=cmd@example.com"}
