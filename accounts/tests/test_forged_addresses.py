"""What a client writes into X-Forwarded-For changes nothing of what is known of it."""

from django.test import TestCase, override_settings

from accounts.authentication import sessions
from accounts.models import AuditEvent, Session
from accounts.tests.cases import in_one_window
from accounts.tests.factories import PASSWORD, alice

#: Whom the server sees, and who that says it speaks for.
PROXY, CLIENT, FORGED = "10.0.0.1", "198.51.100.4", "203.0.113.66"
LOGIN = "/api/v1/auth/login"


class ForgedAddressTests(TestCase):
    def setUp(self):
        self.alice = alice()
        self.known = {"email": self.alice.email, "password": PASSWORD}

    def post(self, path, body, forwarded, **headers):
        return self.client.post(
            path,
            body,
            content_type="application/json",
            REMOTE_ADDR=PROXY,
            headers={"X-Forwarded-For": forwarded, **headers},
        )

    def assert_known_as(self, address, forwarded):
        """Sign in with a program and a browser, do something that is noted."""
        token = self.post(LOGIN, self.known, forwarded).json()["access_token"]
        self.client.post(
            "/accounts/login/",
            {"login": self.alice.email, "password": PASSWORD},
            REMOTE_ADDR=PROXY,
            headers={"X-Forwarded-For": forwarded},
        )
        listed = {one.kind: one.ip for one in sessions.open_sessions(self.alice)}
        assert listed == {"api": address, "browser": address}

        ended = self.post(
            "/api/v1/me/sessions/end-others",
            None,
            forwarded,
            authorization=f"Bearer {token}",
        )
        assert ended.status_code == 200
        assert AuditEvent.objects.get(action="sessions.ended").ip == address

    def test_nobody_is_believed_without_a_proxy(self):
        self.assert_known_as(PROXY, FORGED)

    @override_settings(TRUSTED_PROXY_HOPS=1)
    def test_what_stands_before_the_proxys_own_is_not_believed(self):
        self.assert_known_as(CLIENT, f"{FORGED}, {CLIENT}")

    @override_settings(TRUSTED_PROXY_HOPS=1)
    def test_a_session_keeps_to_it_when_it_is_refreshed(self):
        tokens = self.post(LOGIN, self.known, CLIENT).json()

        body = {"refresh_token": tokens["refresh_token"]}
        self.post("/api/v1/auth/refresh", body, f"{FORGED}, {CLIENT}")

        assert Session.objects.get().ip == CLIENT

    def assert_limited(self, write):
        """Ask from one address, which names another one each time."""
        with in_one_window():
            answers = [
                self.post(LOGIN, {"email": f"{number}@example.com"}, write(number))
                for number in range(31)
            ]

        assert answers[29].status_code == 400
        assert answers[30].status_code == 429
        assert int(answers[30]["Retry-After"]) >= 1

    def test_limits_count_who_connects_without_a_proxy(self):
        self.assert_limited(lambda number: f"203.0.113.{number}")

    @override_settings(TRUSTED_PROXY_HOPS=1)
    def test_limits_count_whom_the_proxy_names(self):
        self.assert_limited(lambda number: f"203.0.113.{number}, {CLIENT}")
        # Somebody else behind the same proxy.
        other = self.post(LOGIN, self.known, f"{CLIENT}, 198.51.100.5")
        assert other.status_code == 200
