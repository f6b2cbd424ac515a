"""The numbers of a process: who reads them, and what is in them."""

import re
from unittest import mock

import httpx
import pytest
from django.db import OperationalError
from django.test import Client, TestCase, override_settings

from accounts import chores
from accounts.errors import RateLimited
from accounts.models import AuditEvent, Export
from accounts.tests.factories import alice
from config import middleware
from config.environment import BASE_DIR
from config.testing import Postgres, Server
from config.testing.numbers import documented, grown, numbers
from config.tests.authorization_rules import Access
from config.tests.matrix import ADMITTED, NOBODY, Matrix, strangers
from config.tests.world import KEYS
from conversations.tests.clients import PASSWORD, Person, wait_for
from database import threads

KEY = {"x-admin-key": KEYS["operator_key"]}
with_key = override_settings(ADMIN_SECRET=KEYS["operator_key"])


class DoorTests(Matrix):
    """The door is that of the operator's API."""

    def ask(self, headers: dict[str, str], method: str = "GET"):
        return Client(raise_request_exception=False).generic(
            method, "/metrics", headers=headers
        )

    def test_who_is_not_known_is_refused(self):
        for actor in NOBODY:
            with self.undone(actor=actor):
                answer = self.ask(self.world.headers(actor, "admin"))
                self.assertEqual(answer.status_code, 401)
                self.assertEqual(answer.json()["code"], "not_authenticated")

    def test_who_is_no_administrator_is_refused(self):
        for actor in strangers(Access.ADMIN):
            with self.undone(actor=actor):
                answer = self.ask(self.world.headers(actor))
                self.assertEqual(answer.status_code, 403)
                self.assertEqual(answer.json()["code"], "permission_denied")

    def test_who_has_to_set_up_a_second_factor_is_told_so(self):
        answer = self.ask(self.world.headers("held_back"))

        self.assertEqual(answer.json()["code"], "totp_setup_required")

    def test_no_cookie_opens_it(self):
        answer = self.world.browser("admin").get("/metrics")

        self.assertEqual(answer.status_code, 401)

    def test_whoever_may_is_let_through(self):
        for actor in ADMITTED[Access.ADMIN]:
            with self.undone(actor=actor):
                answer = self.ask(self.world.headers(actor))
                self.assertEqual(answer.status_code, 200)
                self.assertIn("no-store", answer["Cache-Control"])
                self.assertIn("version=0.0.4", answer["Content-Type"])

    def test_it_is_only_read(self):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            self.assertEqual(self.ask(KEY, method).status_code, 405)

    @override_settings(ADMIN_SECRET="")
    def test_where_no_secret_is_set_the_key_opens_nothing(self):
        self.assertEqual(self.ask(KEY).status_code, 401)

    @override_settings(RATELIMIT_ENABLE=True)
    def test_wrong_keys_are_counted_and_recorded(self):
        wrong = self.world.headers("wrong_key")

        statuses = [self.ask(wrong).status_code for _ in range(10)]
        answer = self.ask(KEY)

        self.assertEqual(set(statuses), {401})
        self.assertEqual(answer.status_code, 429)
        self.assertTrue(answer["Retry-After"])
        refused = AuditEvent.objects.filter(action="operator_key.refused")
        self.assertEqual(refused.count(), 10)

    def test_whatever_is_accepted_it_is_readable(self):
        kinds = ("text/plain; version=x", "application/openmetrics-text", "\xff")
        for accepted in kinds:
            answer = self.ask(KEY | {"accept": accepted})
            self.assertEqual(answer.status_code, 200)
            self.assertIn("tertulia_database_up", numbers(answer.content.decode()))


@with_key
class PageTests(TestCase):
    def setUp(self):
        self.client = Client(raise_request_exception=False)

    def page(self) -> str:
        answer = self.client.get("/metrics", headers=KEY)
        self.assertEqual(answer.status_code, 200)
        return answer.content.decode()

    def test_requests_are_counted_by_the_pattern_of_their_route(self):
        before = numbers()

        self.client.get("/api/v1/characters/luna/?secret=1")
        self.client.get("/c/0b1f8e2e-6d0c-5c43-8f0a-4b8f7d5b6f11")
        self.client.post("/api/v1/auth/login", {}, content_type="application/json")

        counts = 'tertulia_http_request_duration_seconds_count{method="%s",route="%s"'
        self.assertEqual(
            {n: v for n, v in grown(before).items() if "http_request" in n},
            {
                counts % ("GET", "api/v1/characters/<slug:slug>") + ',status="4xx"}': 1,
                counts % ("GET", "c/<uuid:pk>") + ',status="3xx"}': 1,
                counts % ("POST", "api/v1/auth/login") + ',status="4xx"}': 1,
            },
        )

    def test_what_clients_make_up_is_one_number(self):
        self.client.get("/nowhere")
        before = set(numbers())

        for word in ("a", "b", "c"):
            self.client.get(f"/nowhere/{word}?{word}=1")
            self.client.generic(f"BREW{word}", "/nowhere")

        new = set(numbers()) - before
        self.assertEqual({name for name in new if 'method="other"' not in name}, set())
        self.assertEqual(len([name for name in new if "_count{" in name]), 1)

    def test_refusals_are_counted_by_their_code(self):
        before = numbers()

        with self.settings(REGISTRATION="closed"):
            self.client.post(
                "/api/v1/auth/register",
                {"email": "a@example.com", "password": PASSWORD},
                content_type="application/json",
            )
        RateLimited(5)

        counts = grown(before)
        for code in ("registration_closed", "rate_limited"):
            self.assertEqual(counts[f'tertulia_refusals_total{{code="{code}"}}'], 1)

    def test_what_waits_for_the_chores_is_counted(self):
        Export.objects.create(user=alice())

        found = numbers(self.page())

        self.assertEqual(found['tertulia_chores_waiting{kind="export"}'], 1)
        self.assertEqual(found['tertulia_chores_waiting{kind="deletion"}'], 0)

    def test_it_names_nobody(self):
        alice()
        self.client.get("/accounts/login/?next=/c/&email=alice@example.com")

        page = self.page()

        self.assertNotIn("alice", page)
        self.assertIsNone(re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", page))

    def test_what_is_documented_is_there(self):
        text = (BASE_DIR / "docs" / "deployment.md").read_text()
        table = text.partition("\n| metric | what |")[2].partition("\n\n")[0]
        named = re.findall(r"^\| `(\w+)", table, re.MULTILINE)

        ours = {name for name in documented(self.page()) if "tertulia" in name}

        self.assertEqual(set(named), ours)


@with_key
class BrokenTests(TestCase):
    """What counts breaks nothing."""

    def test_a_number_that_cannot_be_had_is_missing(self):
        broken = mock.patch.object(chores.exports, "waiting", side_effect=ValueError)
        with broken, self.assertLogs("tertulia.app", "ERROR") as log:
            found = numbers(self.client.get("/metrics", headers=KEY).content.decode())

        self.assertNotIn('tertulia_chores_waiting{kind="export"}', found)
        self.assertIn("tertulia_database_up", found)
        self.assertIn("a number is missing", log.output[0])

    def test_a_request_that_cannot_be_counted_is_answered(self):
        broken = mock.patch.object(middleware, "_durations", None)
        with broken, self.assertLogs("tertulia.app", "ERROR"):
            answer = self.client.get("/health")

        self.assertEqual(answer.status_code, 200)

    def test_it_does_not_wait_for_a_database_that_is_away(self):
        away = mock.patch.object(chores.exports, "waiting", side_effect=AssertionError)
        before = numbers()
        self.addCleanup(setattr, threads, "_is_up", True)

        middleware.answer_outage(
            self.client.get("/health").wsgi_request, OperationalError("away")
        )
        with away:
            found = numbers(self.client.get("/metrics", headers=KEY).content.decode())

        self.assertEqual(found["tertulia_database_up"], 0)
        self.assertNotIn('tertulia_chores_waiting{kind="export"}', found)
        self.assertEqual(grown(before)["tertulia_database_outages_total"], 1)


SOCKETS = 'tertulia_connections_open{kind="json"}'


def scraped(server: Server) -> dict[str, float]:
    answer = httpx.get(f"{server.url}/metrics", headers=KEY, timeout=5, trust_env=False)
    assert answer.status_code == 200, answer.text
    return numbers(answer.text)


def test_a_real_server_tells_of_itself(make_server):
    server = make_server(ADMIN_SECRET=KEYS["operator_key"])
    person = Person.sign_up(server)
    with person.socket():
        sent = person.say(person.open_conversation())
        person.ended(sent["reply"]["id"])
        wait_for(lambda: scraped(server)[SOCKETS])
        found = scraped(server)
    person.close()

    assert found["tertulia_replies_in_progress"] == 0
    ended = 'tertulia_replies_ended_total{code="",model="demo/demo",status="complete"}'
    assert found[ended] == 1
    assert found['tertulia_tokens_total{kind="prompt",model="demo/demo"}'] > 0
    assert found['tertulia_units_total{model="demo/demo"}'] > 0
    assert found['tertulia_reply_first_token_seconds_count{model="demo/demo"}'] == 1
    assert found["tertulia_database_up"] == 1
    assert found["process_resident_memory_bytes"] > 10_000_000
    assert found["process_open_fds"] > 3
    assert found["process_cpu_seconds_total"] > 0
    wait_for(lambda: scraped(server)[SOCKETS] == 0)


@pytest.mark.postgres
def test_it_answers_at_once_while_the_database_is_away(make_server, postgres: Postgres):
    server = make_server(
        ADMIN_SECRET=KEYS["operator_key"], DATABASE_URL=postgres.url(), REDIS_URL=""
    )
    assert scraped(server)["tertulia_database_up"] == 1

    postgres.stop()

    found = wait_for(
        lambda: (n := scraped(server))["tertulia_database_up"] == 0 and n, 60
    )
    assert found["tertulia_database_outages_total"] >= 1
    postgres.start()
    wait_for(lambda: scraped(server)["tertulia_database_up"] == 1, 60)
