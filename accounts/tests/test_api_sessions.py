"""What a session is good for, and what ends it."""

from datetime import timedelta
from unittest import mock

from django.test import TestCase
from django.utils import timezone

from accounts.authentication.bearer import redeem_ticket, session_of
from accounts.authentication.sessions import RACE_WINDOW
from accounts.models import AuditEvent, Session, SocketTicket, User
from accounts.tests.cases import ME, JsonTestCase
from accounts.tests.factories import ada, alice, auth, change, make_user

REFRESH = "/api/v1/auth/refresh"
LOGOUT = "/api/v1/auth/logout"
TICKET = "/api/v1/auth/ws-ticket"


class RefreshTests(JsonTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def setUp(self):
        self.old = self.login().json()

    def refresh(self, token, **headers):
        return self.post(REFRESH, {"refresh_token": token}, **headers)

    def long_ago(self):
        Session.objects.update(rotated_at=timezone.now() - RACE_WINDOW)

    def test_it_answers_a_new_pair(self):
        new = self.refresh(self.old["refresh_token"]).json()

        assert new.keys() == self.old.keys()
        assert new["refresh_token"] != self.old["refresh_token"]
        assert self.can_use(new["access_token"])
        assert Session.objects.count() == 1
        assert self.refresh(new["refresh_token"]).status_code == 200

    def test_it_revokes_the_session_when_a_used_token_comes_back(self):
        new = self.refresh(self.old["refresh_token"]).json()
        self.long_ago()

        with self.assertLogs("tertulia.auth", "INFO") as logs:
            response = self.refresh(self.old["refresh_token"])

        self.assert_refused(response, 401, "token_reused")
        (record,) = logs.records
        assert record.message == "session.token_reused"
        assert record.actor == str(self.alice.pk)
        assert not self.can_use(new["access_token"])
        assert not self.can_use(self.old["access_token"])
        self.assert_refused(self.refresh(new["refresh_token"]), 401, "invalid_token")

    def test_it_forgives_the_same_client_refreshing_twice_at_once(self):
        new = self.refresh(self.old["refresh_token"]).json()

        response = self.refresh(self.old["refresh_token"])

        self.assert_refused(response, 401, "token_reused")
        assert self.can_use(new["access_token"])

    def test_it_records_every_repetition_it_forgives(self):
        self.refresh(self.old["refresh_token"])

        for count in (1, 2):
            self.refresh(self.old["refresh_token"])

            events = AuditEvent.objects.filter(action="session.token_repeated")
            assert events.count() == count
            assert events[0].actor == self.alice
            assert events[0].object_id == str(Session.objects.get().pk)
        assert not AuditEvent.objects.filter(action="session.token_reused").exists()

    def test_it_forgives_nobody_at_another_address_or_with_another_program(self):
        for elsewhere in (
            {"REMOTE_ADDR": "203.0.113.9"},
            {"HTTP_USER_AGENT": "another program"},
        ):
            with self.subTest(elsewhere):
                old = self.login().json()
                new = self.refresh(old["refresh_token"]).json()

                response = self.refresh(old["refresh_token"], **elsewhere)

                self.assert_refused(response, 401, "token_reused")
                assert not self.can_use(new["access_token"])
                again = self.refresh(new["refresh_token"])
                self.assert_refused(again, 401, "invalid_token")
        events = AuditEvent.objects.filter(action="session.token_reused")
        assert events.count() == 2

    def test_it_ends_the_session_when_its_owner_comes_after_a_thief(self):
        stolen = self.refresh(self.old["refresh_token"], REMOTE_ADDR="203.0.113.9")

        response = self.refresh(self.old["refresh_token"])

        self.assert_refused(response, 401, "token_reused")
        assert not self.can_use(stolen.json()["access_token"])

    def test_it_forgives_only_the_token_exchanged_last(self):
        newer = self.refresh(self.old["refresh_token"]).json()
        newest = self.refresh(newer["refresh_token"]).json()

        response = self.refresh(self.old["refresh_token"])

        self.assert_refused(response, 401, "token_reused")
        assert not self.can_use(newest["access_token"])

    def test_it_leaves_other_sessions_alone(self):
        other = self.login().json()
        self.refresh(self.old["refresh_token"])
        Session.objects.exclude(rotated_at=None).update(
            rotated_at=timezone.now() - RACE_WINDOW
        )

        self.refresh(self.old["refresh_token"])

        assert self.can_use(other["access_token"])

    def test_it_refuses_what_is_no_refresh_token(self):
        for token in (self.old["access_token"], "nonsense", "a.b.c", "…"):
            with self.subTest(token):
                self.assert_refused(self.refresh(token), 401, "invalid_token")

    def test_it_refuses_what_is_no_text(self):
        for token in (None, "", 5.5, [], {}, "a\0", "\ud800"):
            with self.subTest(token=ascii(token)):
                response = self.refresh(token)
                assert response.status_code in (400, 401)

    def test_it_refuses_a_deactivated_user(self):
        change(self.alice, is_active=False)

        response = self.refresh(self.old["refresh_token"])

        self.assert_refused(response, 401, "invalid_token")

    def test_it_refuses_a_deleted_user(self):
        self.alice.delete()

        response = self.refresh(self.old["refresh_token"])

        self.assert_refused(response, 401, "invalid_token")

    def test_it_refuses_an_expired_token(self):
        with mock.patch(
            "rest_framework_simplejwt.tokens.RefreshToken.lifetime",
            timedelta(seconds=-1),
        ):
            expired = self.login().json()["refresh_token"]

        self.assert_refused(self.refresh(expired), 401, "invalid_token")


class LogoutTests(JsonTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def logout(self, token):
        return self.post(LOGOUT, {"refresh_token": token})

    def test_it_kills_every_token_of_the_session(self):
        pair = self.login().json()

        assert self.logout(pair["refresh_token"]).status_code == 204

        assert not self.can_use(pair["access_token"])
        refreshed = self.post(REFRESH, {"refresh_token": pair["refresh_token"]})
        self.assert_refused(refreshed, 401, "invalid_token")

    def test_it_answers_the_same_again(self):
        pair = self.login().json()

        for token in (pair["refresh_token"], pair["refresh_token"], "nonsense"):
            assert self.logout(token).status_code == 204

    def test_it_leaves_other_sessions_alone(self):
        pair, other = self.login().json(), self.login().json()

        self.logout(pair["refresh_token"])

        assert self.can_use(other["access_token"])

    def test_it_needs_the_refresh_token(self):
        pair = self.login().json()

        self.assert_refused(self.post(LOGOUT, {}), 400, "invalid")
        assert self.logout(pair["access_token"]).status_code == 204
        assert self.can_use(pair["access_token"])


class TicketTests(JsonTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def ticket(self):
        response = self.post(TICKET, **auth(self.alice))
        assert response.status_code == 200
        assert response.json()["expires_in"] == 30
        return response.json()["ticket"]

    def test_it_is_good_once(self):
        ticket = self.ticket()

        session = redeem_ticket(ticket)

        assert session.user == self.alice
        assert redeem_ticket(ticket) is None

    def test_it_stores_no_ticket(self):
        ticket = self.ticket()

        assert SocketTicket.objects.get().digest != ticket

    def test_it_is_good_for_thirty_seconds(self):
        ticket = self.ticket()
        SocketTicket.objects.update(created_at=timezone.now() - SocketTicket.LIFETIME)

        assert redeem_ticket(ticket) is None

    def test_it_dies_with_its_session(self):
        ticket = self.ticket()
        Session.objects.revoke()

        assert redeem_ticket(ticket) is None

    def test_it_forgets_tickets_nobody_used(self):
        self.ticket()
        SocketTicket.objects.update(created_at=timezone.now() - SocketTicket.LIFETIME)

        self.ticket()

        assert SocketTicket.objects.count() == 1

    def test_it_is_not_given_to_strangers(self):
        self.assert_refused(self.post(TICKET), 401, "not_authenticated")

    def test_it_knows_nonsense(self):
        for ticket in ("", "nonsense", "a\0b", "\ud800"):
            assert redeem_ticket(ticket) is None


class PasswordChangeTests(TestCase):
    def test_it_ends_every_api_session(self):
        user = make_user()
        header = auth(user)

        user.set_password("another password")
        user.save()

        assert self.client.get(ME, **header).status_code == 401

    def test_it_does_not_end_sessions_for_anything_else(self):
        user = ada()
        header = auth(user)

        user.email = "countess@example.com"
        user.save()

        assert self.client.get(ME, **header).json()["email"] == user.email

    def test_it_keeps_out_whoever_was_let_in_again(self):
        user = make_user()
        header = auth(user)

        change(user, is_active=False)
        change(user, is_active=True)

        assert self.client.get(ME, **header).status_code == 401

    def test_it_keeps_out_whoever_lost_their_account(self):
        user = make_user()
        header = auth(user)
        User.objects.update(is_active=False)

        assert self.client.get(ME, **header).status_code == 401
        assert session_of(header["HTTP_AUTHORIZATION"][7:]) is None
