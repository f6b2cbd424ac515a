"""Sessions that are used, ended and noted at the same moment."""

from functools import partial

from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.test import Client, TransactionTestCase

from accounts.authentication import sessions
from accounts.errors import InvalidToken
from accounts.models import Session, User
from accounts.tests.factories import PASSWORD, alice, change
from accounts.tests.races import at_once

ROUNDS = 5


class SessionRaceTests(TransactionTestCase):
    def test_it_leaves_nothing_alive_when_all_end_during_a_refresh(self):
        user = alice()
        for _ in range(ROUNDS):
            tokens = sessions.open_session(user)

            results = at_once(
                [
                    partial(sessions.rotate, tokens.refresh),
                    partial(sessions.end_all, user),
                    partial(sessions.end_all, user),
                ]
            )

            assert isinstance(results[0], sessions.Tokens | InvalidToken), results
            assert all(isinstance(ended, int) for ended in results[1:]), results
            assert not Session.objects.live().exists()

    def test_it_leaves_nothing_alive_when_a_new_role_meets_a_refresh(self):
        user = alice()
        for number in range(ROUNDS):
            tokens = sessions.open_session(user)
            role = ("supervisor", "worker")[number % 2]

            results = at_once(
                [
                    partial(sessions.rotate, tokens.refresh),
                    partial(change, User.objects.get(), role=role),
                ]
            )

            assert isinstance(results[0], sessions.Tokens | InvalidToken), results
            assert results[1] is None
            assert not Session.objects.live().exists()

    def test_it_notes_a_browser_once(self):
        alice()
        browser = Client()
        body = {"login": "alice@example.com", "password": PASSWORD}
        browser.post("/accounts/login/", body)
        key = browser.session.session_key

        def look():
            tab = Client()
            tab.cookies["session"] = key
            cache.clear()
            return tab.get("/settings/profile").status_code

        for _ in range(ROUNDS):
            UserSession.objects.all().delete()
            assert at_once([look] * 6) == [200] * 6
            assert UserSession.objects.count() == 1

    def test_it_shows_no_page_once_the_session_is_over(self):
        user = alice()
        for _ in range(ROUNDS):
            browser = Client(raise_request_exception=False)
            browser.force_login(user)

            at_once(
                [
                    partial(browser.get, "/settings/sessions"),
                    partial(sessions.end_all, user),
                ]
            )

            assert browser.get("/settings/sessions").status_code == 302
            assert sessions.open_sessions(user) == []
