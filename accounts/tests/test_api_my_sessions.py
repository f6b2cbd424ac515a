"""Where somebody is signed in, as programs see and end it, and a new password."""

import uuid
from datetime import timedelta
from unittest import mock

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session as StoredSession
from django.test import TestCase, override_settings
from django.utils import timezone

from accounts import setup
from accounts.authentication import sessions
from accounts.models import AuditEvent, Session, User
from accounts.signals import sessions_ended
from accounts.tests.cases import JsonTestCase
from accounts.tests.factories import PASSWORD, ada, alice, auth, bob, change

SESSIONS = "/api/v1/me/sessions"
END_OTHERS = f"{SESSIONS}/end-others"
NEW_PASSWORD = "/api/v1/me/password"
PROFILE = "/settings/profile"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


class SessionsCase(JsonTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def setUp(self):
        tokens = self.login(HTTP_USER_AGENT="okhttp/4.12.0").json()
        self.mine = {"HTTP_AUTHORIZATION": f"Bearer {tokens['access_token']}"}
        self.browser = self.sign_in()

    def sign_in(self, user=None, **headers):
        """Return a browser in which somebody is signed in, at its second page."""
        browser = self.client_class(headers={"User-Agent": FIREFOX} | headers)
        email = (user or self.alice).email
        body = {"login": email, "password": PASSWORD}
        assert browser.post("/accounts/login/", body).status_code == 302
        return browser

    def listed(self, **headers):
        answer = self.client.get(SESSIONS, **(headers or self.mine))
        assert answer.status_code == 200, answer.content
        return answer.json()["results"]

    def is_in(self, browser):
        return browser.get(PROFILE).status_code == 200

    def id_of(self, kind):
        (found,) = [one["id"] for one in self.listed() if one["kind"] == kind]
        return found


class ListTests(SessionsCase):
    def test_it_lists_browsers_and_programs(self):
        found = {one["kind"]: one for one in self.listed()}

        assert found.keys() == {"browser", "api"}
        assert found["browser"]["device"] == "Firefox on Linux"
        assert found["browser"]["user_agent"] == FIREFOX
        assert found["api"]["device"] == "okhttp"
        for one in found.values():
            assert str(uuid.UUID(one["id"])) == one["id"]
            assert one["ip"] == "127.0.0.1"
            assert one["created_at"] <= one["last_seen_at"]
        assert found["api"]["is_current"]
        assert not found["browser"]["is_current"]

    def test_it_keeps_the_ids_it_gave(self):
        assert self.id_of("browser") == self.id_of("browser")

    def test_it_shows_the_most_recently_used_first(self):
        Session.objects.update(last_seen_at=timezone.now() - timedelta(days=1))
        before = self.listed(**auth(self.alice))

        assert [one["kind"] for one in before] == ["api", "browser", "api"]
        assert before[0]["is_current"]

    def test_it_comes_in_pages(self):
        answer = self.client.get(f"{SESSIONS}?limit=1&offset=1", **self.mine).json()

        assert answer["count"] == 2
        assert len(answer["results"]) == 1

    def test_it_takes_three_queries_however_many_there_are(self):
        for _ in range(5):
            self.sign_in()
            self.login()

        # The session that asks, those of the API, those of browsers.
        with self.assertNumQueries(3):
            self.listed()

    def test_it_shows_nobody_elses(self):
        bob()
        self.login("bob@example.com")

        assert len(self.listed()) == 2

    def test_it_shows_none_that_is_over(self):
        self.browser.post("/accounts/logout/")
        Session.objects.create(user=self.alice, revoked_at=timezone.now())
        Session.objects.create(user=self.alice, expires_at=timezone.now())
        self.sign_in()
        StoredSession.objects.update(expire_date=timezone.now())

        assert [one["kind"] for one in self.listed()] == ["api"]

    def test_it_is_for_those_who_are_signed_in(self):
        self.assert_refused(self.client.get(SESSIONS), 401, "not_authenticated")
        self.assert_refused(self.browser.get(SESSIONS), 401, "not_authenticated")

    def test_it_shows_a_browser_whose_address_is_not_known(self):
        self.browser.post("/accounts/logout/")
        unknown = self.client_class(REMOTE_ADDR="")
        body = {"login": self.alice.email, "password": PASSWORD}
        unknown.post("/accounts/login/", body)

        found = next(one for one in self.listed() if one["kind"] == "browser")
        assert found["ip"] is None


class EndTests(SessionsCase):
    def end(self, pk, **headers):
        return self.client.delete(f"{SESSIONS}/{pk}", **(headers or self.mine))

    def test_it_ends_a_browser(self):
        assert self.end(self.id_of("browser")).status_code == 204

        assert not self.is_in(self.browser)
        assert not UserSession.objects.exists()
        assert [one["kind"] for one in self.listed()] == ["api"]

    def test_it_ends_a_program_and_its_refresh_token(self):
        other = self.login().json()
        (pk,) = [
            one["id"]
            for one in self.listed()
            if one["kind"] == "api" and not one["is_current"]
        ]

        assert self.end(pk).status_code == 204

        assert not self.can_use(other["access_token"])
        again = self.post(
            "/api/v1/auth/refresh", {"refresh_token": other["refresh_token"]}
        )
        self.assert_refused(again, 401, "invalid_token")
        assert self.is_in(self.browser)

    def test_it_ends_the_one_that_asks(self):
        assert self.end(self.id_of("api")).status_code == 204

        answer = self.client.get(SESSIONS, **self.mine)
        self.assert_refused(answer, 401, "not_authenticated")
        assert self.is_in(self.browser)

    def test_it_knows_nobody_elses_and_none_that_is_over(self):
        charlie = auth(bob())
        theirs = [self.id_of("browser"), self.id_of("api")]
        for pk in theirs:
            self.assert_refused(self.end(pk, **charlie), 404, "not_found")
        self.assert_refused(self.end(uuid.uuid4()), 404, "not_found")
        assert self.is_in(self.browser)

        self.end(theirs[0])
        self.assert_refused(self.end(theirs[0]), 404, "not_found")

    def test_it_is_noted(self):
        pk = self.id_of("browser")

        self.end(pk)

        event = AuditEvent.objects.get(action="session.ended")
        assert event.actor == self.alice
        assert event.details == {"session": pk}

    def test_it_ends_all_others(self):
        other, stranger = self.login().json(), auth(bob())
        elsewhere = self.sign_in()

        answer = self.post(END_OTHERS, **self.mine)

        assert answer.json() == {"ended": 3}
        assert not self.can_use(other["access_token"])
        assert not self.is_in(self.browser)
        assert not self.is_in(elsewhere)
        assert [one["is_current"] for one in self.listed()] == [True]
        assert len(self.listed(**stranger)) == 1
        assert self.post(END_OTHERS, **self.mine).json() == {"ended": 0}

    def test_it_does_so_for_a_browser_too(self):
        elsewhere = self.sign_in()

        self.browser.post("/settings/sessions/end-others")

        assert self.is_in(self.browser)
        assert not self.is_in(elsewhere)
        assert not self.can_use(self.mine["HTTP_AUTHORIZATION"][7:])


class ToldTests(TestCase):
    """Who is told that sessions are over, and of which."""

    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def setUp(self):
        self.api = Session.objects.create(user=self.alice)
        self.other = Session.objects.create(user=self.alice)
        self.client.force_login(self.alice)
        (self.browser,) = [
            one.credential
            for one in sessions.open_sessions(self.alice)
            if one.kind == "browser"
        ]
        self.told = []
        sessions_ended.connect(self.hear)
        self.addCleanup(sessions_ended.disconnect, self.hear)

    def hear(self, user_id, credentials, **_signal):
        assert user_id == self.alice.pk
        self.told.append(credentials)

    def do(self, call, *args, **kwargs):
        with self.captureOnCommitCallbacks(execute=True):
            return call(*args, **kwargs)

    def test_it_names_the_one_that_was_ended(self):
        assert self.do(sessions.end_session, self.alice, self.browser)
        assert self.do(sessions.end_session, self.alice, self.api.credential)
        assert not self.do(sessions.end_session, self.alice, self.api.credential)

        assert self.told == [[self.browser], [self.api.credential]]

    def test_it_names_all_but_the_one_that_is_kept(self):
        assert self.do(sessions.end_all, self.alice, keep=self.api.credential) == 2

        assert list(map(set, self.told)) == [{self.browser, self.other.credential}]

    def test_it_says_so_when_all_are_over(self):
        assert self.do(sessions.end_all, self.alice) == 3

        assert self.told == [None]

    def test_it_tells_nobody_before_it_is_certain(self):
        with self.captureOnCommitCallbacks():
            sessions.end_all(self.alice)

        assert self.told == []

    def test_a_reused_refresh_token_ends_its_session(self):
        tokens = sessions.open_session(self.alice)
        sessions.rotate(tokens.refresh)
        Session.objects.update(rotated_at=timezone.now() - sessions.RACE_WINDOW)

        with self.assertRaises(sessions.TokenReused):
            self.do(sessions.rotate, tokens.refresh)
        self.assertEqual(
            Session.objects.exclude(revoked_at=None).count(), 1, "only that one"
        )


class EverythingEndsTests(SessionsCase):
    """What a person, an operator or a command does, and who is still in after it."""

    def who_is_in(self):
        found = {"browser"} if self.is_in(self.browser) else set()
        if self.can_use(self.mine["HTTP_AUTHORIZATION"][7:]):
            found.add("api")
        return found

    def stored(self):
        return User.objects.get(pk=self.alice.pk)

    def test_a_password_set_by_somebody_else_ends_all(self):
        user = self.stored()
        user.set_password("another one entirely")
        user.save()

        assert self.who_is_in() == set()
        assert not UserSession.objects.exists()

    def test_a_password_taken_away_ends_all(self):
        user = self.stored()
        user.set_unusable_password()
        user.save()

        assert self.who_is_in() == set()

    def test_a_deactivation_ends_all_for_good(self):
        change(self.stored(), is_active=False)
        change(self.stored(), is_active=True)

        assert self.who_is_in() == set()

    def test_another_role_ends_all(self):
        change(self.stored(), role=User.Role.SUPERVISOR)

        assert self.who_is_in() == set()

    def test_a_deletion_ends_all(self):
        self.stored().delete()

        assert self.who_is_in() == set()
        assert not StoredSession.objects.exists()

    def test_a_deletion_of_many_ends_all(self):
        User.objects.all().delete()

        assert not StoredSession.objects.exists()

    def test_an_operator_signs_people_out(self):
        operator = self.client_class()
        operator.force_login(ada())

        operator.post(
            "/admin/accounts/user/",
            {"action": "sign_out", "_selected_action": [str(self.alice.pk)]},
        )

        assert self.who_is_in() == set()
        assert operator.get("/admin/").status_code == 200

    def test_everything_else_ends_nothing(self):
        user = self.stored()
        user.daily_units = 5
        user.save()
        user.save(update_fields=["role", "is_active", "password"])
        change(user, is_active=True)

        assert self.who_is_in() == {"browser", "api"}

    def test_a_person_without_a_password_stays_signed_in(self):
        user = self.stored()
        user.set_unusable_password()
        user.save()
        tokens = sessions.open_session(user)

        user.save()

        assert self.can_use(tokens.access)


class PasswordTests(SessionsCase):
    new = "a tertulia at the corner"

    def change(self, current=PASSWORD, new=None, **headers):
        body = {"current_password": current, "new_password": new or self.new}
        return self.post(NEW_PASSWORD, body, **(headers or self.mine))

    def test_it_changes_and_ends_every_other_session(self):
        other = self.login().json()

        assert self.change().status_code == 204

        assert User.objects.get().check_password(self.new)
        assert [one["is_current"] for one in self.listed()] == [True]
        assert not self.can_use(other["access_token"])
        assert not self.is_in(self.browser)
        assert self.login(password=self.new).status_code == 200
        assert self.login().status_code == 401

    def test_it_is_noted(self):
        self.change()

        event = AuditEvent.objects.get(action="user.password_changed")
        assert (event.actor, event.object_id) == (self.alice, str(self.alice.pk))
        assert self.new not in str(event.details)

    def test_it_needs_the_current_one(self):
        answer = self.change("wrong password")

        self.assert_refused(answer, 400, "invalid")
        assert answer.json()["errors"][0]["field"] == "current_password"
        assert User.objects.get().check_password(PASSWORD)
        assert self.is_in(self.browser)

    def test_it_counts_wrong_ones_with_those_at_the_door(self):
        for _ in range(5):
            self.change("wrong password")

        self.assert_refused(self.change(), 429, "rate_limited")
        self.assert_refused(self.login(), 429, "rate_limited")

    def test_it_refuses_weak_ones(self):
        for weak in ("short", "password", "alice@example.com"):
            with self.subTest(weak):
                answer = self.change(new=weak)
                self.assert_refused(answer, 400, "invalid")
                assert answer.json()["errors"][0]["field"] == "new_password"

    def test_it_refuses_what_is_no_password(self):
        for body in ({}, {"current_password": PASSWORD}, [], None, {"new_password": 1}):
            with self.subTest(body=body):
                answer = self.post(NEW_PASSWORD, body, **self.mine)
                self.assert_refused(answer, 400, "invalid")

    def test_it_is_for_those_who_are_signed_in(self):
        answer = self.change(HTTP_AUTHORIZATION="")

        self.assert_refused(answer, 401, "not_authenticated")

    def test_it_is_closed_to_all_but_some_domains(self):
        with override_settings(PASSWORD_CHANGE_DOMAINS=["example.org"]):
            self.assert_refused(self.change(), 403, "password_change_closed")
            # Before anything is said about the rest.
            self.assert_refused(self.change("", ""), 403, "password_change_closed")
        # Not a part of one.
        with override_settings(PASSWORD_CHANGE_DOMAINS=["ample.com"]):
            self.assert_refused(self.change(), 403, "password_change_closed")
        assert User.objects.get().check_password(PASSWORD)

        with override_settings(PASSWORD_CHANGE_DOMAINS=["example.org", "Example.com"]):
            assert self.change().status_code == 204

    def test_it_is_the_same_rule_in_the_browser(self):
        pages = ("/accounts/password/change/", "/accounts/password/set/")
        body = {"oldpassword": PASSWORD, "password1": self.new, "password2": self.new}
        with override_settings(PASSWORD_CHANGE_DOMAINS=["example.org"]):
            for page in pages:
                assert self.browser.get(page).status_code == 403
                assert self.browser.post(page, body).status_code == 403
        assert User.objects.get().check_password(PASSWORD)

        with override_settings(PASSWORD_CHANGE_DOMAINS=["example.com"]):
            assert self.browser.post(pages[0], body).status_code == 302
        assert User.objects.get().check_password(self.new)
        event = AuditEvent.objects.get(action="user.password_changed")
        assert (event.actor, event.details) == (self.alice, {"via": "page"})


class TracksTests(SessionsCase):
    """What is known of a browser's session, and what knowing it costs."""

    def later(self, minutes):
        """Let time pass for what is remembered, and for the session."""
        ago = timezone.now() - timedelta(minutes=minutes)
        UserSession.objects.update(last_seen_at=ago, created_at=ago)
        patch = mock.patch(
            "accounts.authentication.browsers.cache.add", return_value=True
        )
        patch.start()
        self.addCleanup(patch.stop)

    def test_it_costs_no_query_within_a_minute(self):
        self.browser.get(PROFILE)

        # Session, user with profile, and the form's own profile.
        with self.assertNumQueries(3):
            self.browser.get(PROFILE)

    def test_it_notes_the_use_after_a_minute(self):
        self.later(minutes=2)

        self.browser.get(PROFILE, REMOTE_ADDR="203.0.113.7")

        row = UserSession.objects.get()
        assert timezone.now() - row.last_seen_at < timedelta(minutes=1)
        assert timezone.now() - row.created_at > timedelta(minutes=1)
        assert row.ip == "203.0.113.7"

    def test_it_finds_a_session_nobody_noted(self):
        UserSession.objects.all().delete()
        self.later(minutes=2)

        self.browser.get(PROFILE)

        assert UserSession.objects.get().user == self.alice

    def test_it_stays_the_same_session_with_a_new_password(self):
        before = self.id_of("browser")
        body = {
            "oldpassword": PASSWORD,
            "password1": "a tertulia at the corner",
            "password2": "a tertulia at the corner",
        }

        self.browser.post("/accounts/password/change/", body)

        assert self.is_in(self.browser)
        found = sessions.open_sessions(self.alice)
        assert [(str(one.id), one.kind) for one in found] == [(before, "browser")]

    def test_it_is_another_session_when_somebody_else_signs_in(self):
        link = setup.setup_link("http://testserver")

        self.browser.post(link, {"email": "ada@example.com", "password": PASSWORD})

        row = UserSession.objects.get()
        assert row.user.email == "ada@example.com"
        assert row.session_key == self.browser.session.session_key

    def test_it_forgets_a_session_that_signs_out(self):
        self.browser.post("/accounts/logout/")

        assert not UserSession.objects.exists()

    def test_it_forgets_at_a_sign_in_what_is_over(self):
        StoredSession.objects.all().delete()

        self.sign_in()

        assert UserSession.objects.count() == 1

    def test_it_has_one_way_to_see_them(self):
        operator = self.client_class()
        operator.force_login(ada())

        for page in ("/accounts/sessions/", "/admin/usersessions/usersession/"):
            assert operator.get(page).status_code == 404
