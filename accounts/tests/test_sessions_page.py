"""The page of sessions, as a person without JavaScript uses it."""

import re
import uuid
from datetime import timedelta

from django.test import Client, TestCase
from django.utils import timezone

from accounts.authentication import sessions
from accounts.models import AuditEvent, Session
from accounts.tests.factories import alice, auth, bob

PAGE = "/settings/sessions"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


class SessionsPageTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def setUp(self):
        self.client = self.signed_in(FIREFOX)
        self.phone = self.signed_in(SAFARI, REMOTE_ADDR="203.0.113.7")
        self.program = {
            "HTTP_AUTHORIZATION": "Bearer "
            + sessions.open_session(self.alice, user_agent="okhttp/4.12.0").access
        }

    def signed_in(self, user_agent, user=None, **environ):
        client = Client(headers={"User-Agent": user_agent}, **environ)
        body = {
            "login": (user or self.alice).email,
            "password": "correct horse battery",
        }
        client.post("/accounts/login/", body)
        return client

    def items(self, client=None):
        """Return the text of each session that the page shows."""
        html = (client or self.client).get(PAGE).content.decode()
        found = re.findall(r'<li class="device.*?</li>', html, re.DOTALL)
        return [" ".join(re.sub(r"<[^>]+>", " ", item).split()) for item in found]

    def form_of(self, device, client=None):
        """Return where the button beside a device posts to."""
        html = (client or self.client).get(PAGE).content.decode()
        items = re.findall(r'<li class="device.*?</li>', html, re.DOTALL)
        (item,) = [item for item in items if f"<h2>{device}" in item]
        return re.search(r'action="([^"]+)"', item)[1]

    def is_in(self, client):
        return client.get("/settings/profile").status_code == 200

    def test_it_shows_browsers_and_programs_and_which_one_this_is(self):
        yesterday = timezone.now() - timedelta(days=1)
        Session.objects.update(last_seen_at=yesterday)

        first, *others = self.items()

        assert first.startswith("Firefox on Linux this one 127.0.0.1 · in use now")
        assert others[0].startswith("Safari on iPhone 203.0.113.7 · in use now")
        assert others[1].startswith("okhttp program last used 1 day ago")
        assert self.items(self.phone)[0].startswith("Safari on iPhone this one")

    def test_it_is_for_those_who_are_signed_in(self):
        for path in (PAGE, f"{PAGE}/end-others", f"{PAGE}/{uuid.uuid4()}/end"):
            for method in ("get", "post"):
                answer = getattr(Client(), method)(path)
                assert answer["Location"].startswith("/accounts/login/"), path

    def test_it_ends_a_browser(self):
        answer = self.client.post(self.form_of("Safari on iPhone"), follow=True)

        assert "Safari on iPhone is signed out." in answer.content.decode()
        assert not self.is_in(self.phone)
        assert self.is_in(self.client)
        assert AuditEvent.objects.filter(action="session.ended").count() == 1

    def test_it_ends_a_program(self):
        self.client.post(self.form_of("okhttp"))

        assert self.client.get("/api/v1/me", **self.program).status_code == 401

    def test_it_ends_the_one_that_asks_and_leads_to_the_door(self):
        answer = self.client.post(self.form_of("Firefox on Linux"))

        assert answer["Location"] == "/accounts/login/"
        assert not self.is_in(self.client)
        assert self.is_in(self.phone)

    def test_it_signs_out_everywhere_else(self):
        stranger = auth(bob())

        answer = self.client.post(f"{PAGE}/end-others", follow=True)

        assert "2 other sessions are signed out." in answer.content.decode()
        assert "You are signed in nowhere else." in answer.content.decode()
        assert len(self.items()) == 1
        assert not self.is_in(self.phone)
        assert self.client.get("/api/v1/me", **self.program).status_code == 401
        assert self.client.get("/api/v1/me", **stranger).status_code == 200
        assert AuditEvent.objects.get(action="sessions.ended").details == {"count": 2}

    def test_it_ends_nobody_elses(self):
        charlie = self.signed_in(FIREFOX, user=bob())

        answer = charlie.post(self.form_of("okhttp"))

        assert answer.status_code == 404
        assert self.client.get("/api/v1/me", **self.program).status_code == 200

    def test_it_changes_nothing_when_it_is_only_looked_at(self):
        for path in (self.form_of("okhttp"), f"{PAGE}/end-others"):
            assert self.client.get(path).status_code == 405
        assert len(self.items()) == 3

    def test_it_believes_no_foreign_form(self):
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = self.client.cookies

        for path in (self.form_of("okhttp"), f"{PAGE}/end-others"):
            assert strict.post(path).status_code == 403
        assert len(self.items()) == 3

    def test_it_shows_a_user_agent_as_text(self):
        Session.objects.update(user_agent="<script>alert(1)</script>")

        assert "<script>alert" not in self.client.get(PAGE).content.decode()

    def test_it_takes_as_many_queries_however_many_there_are(self):
        def cost():
            with self.assertNumQueries(4):  # session, user, programs, browsers
                assert self.client.get(PAGE).status_code == 200

        cost()
        for _ in range(5):
            sessions.open_session(self.alice)
        cost()

    def test_it_shows_none_that_is_over(self):
        Session.objects.update(revoked_at=timezone.now())
        self.phone.post("/accounts/logout/")

        assert len(self.items()) == 1
