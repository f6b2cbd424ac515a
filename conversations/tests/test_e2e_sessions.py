"""Who has lost the right to be here is out within five seconds, everywhere."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from config.testing import Server
from conversations.tests.clients import (
    PASSWORD,
    PATIENCE,
    Heard,
    PageSocket,
    Person,
    Socket,
    timings,
    wait_for,
)
from conversations.tests.stored import is_streaming, replies, rows
from conversations.tests.storyteller import story

#: The promise, and what a busy machine may add to it.
CLOSES_WITHIN = 5.0 + 1.0
UNAUTHENTICATED = 4401


def test_it_closes_sockets_of_a_session_that_is_revoked(serve, sign_up):
    alice = sign_up(serve())

    _assert_a_logout_closes([alice], alice)


@pytest.mark.postgres
def test_it_closes_sockets_at_another_process(pair, sign_up):
    server, other = pair()
    alice = sign_up(server)

    _assert_a_logout_closes([alice, alice.at(other)], alice)


def test_it_closes_sockets_of_a_user_who_is_deactivated(serve, sign_up, storyteller):
    server = serve(words=3000)
    alice, bob = sign_up(server), sign_up(server, "bob@example.com")
    with alice.socket() as socket, bob.socket() as of_bob:
        socket.say(alice.open_conversation())
        heard = Heard().take_until(100, socket.replies())

        server.shell(
            "from accounts.models import User\n"
            "from accounts.tests.factories import change\n"
            "change(User.objects.get(email='alice@example.com'), is_active=False)"
        )

        assert socket.wait_for_close(CLOSES_WITHIN) == UNAUTHENTICATED
        of_bob.command("ping")
        assert of_bob.next()["type"] == "pong"
    assert alice.http.get("/me").status_code == 401
    storyteller.wait_for_hangup(5)
    wait_for(lambda: not is_streaming(server))
    (text,) = replies(server)
    assert text.startswith(heard.text)
    assert len(text) < len(story(3000))


@pytest.mark.postgres
def test_it_ends_sessions_that_another_process_was_told_to_end(pair, sign_up):
    server, other = pair(words=3000)
    everybody = {
        how: _sign_in_everywhere(sign_up(server, f"{how}@example.com"), other)
        for how in ("one", "others", "password", "leaving", "active", "role")
    }
    one, others, password, leaving, active, role = everybody.values()

    # Who does not read is cut off without being told why.
    with ThreadPoolExecutor(2 * len(everybody)) as readers:
        closing = {
            (how, kind): readers.submit(_closed, opened)
            for how, person in everybody.items()
            for kind, opened in (("program", person.socket), ("page", person.page))
        }
        begun = time.monotonic()
        listed = one.elsewhere.get("/me/sessions")["results"]
        (first,) = [
            session["id"]
            for session in listed
            if session["kind"] == "api" and not session["is_current"]
        ]
        assert one.elsewhere.http.delete(f"/me/sessions/{first}").status_code == 204
        assert others.elsewhere.post("/me/sessions/end-others") == {"ended": 2}
        password.elsewhere.post(
            "/me/password", current_password=PASSWORD, new_password=f"{PASSWORD} shop"
        )
        leaving.elsewhere.http.request("DELETE", "/me", json={"password": PASSWORD})
        other.shell(
            "from accounts.models import User\n"
            "from accounts.tests.factories import change\n"
            "change(User.objects.get(email='active@example.com'), is_active=False)\n"
            "change(User.objects.get(email='role@example.com'), role='supervisor')"
        )
        told = time.monotonic()
        for how, person in everybody.items():
            assert person.program.http.get("/me").status_code == 401, how
            assert (person.shows_settings() == 200) == (how == "one"), how
            wait_for(person.is_stopped, told + CLOSES_WITHIN - time.monotonic())
        timings.info("all replies were stopped after %.2f s", time.monotonic() - told)
        # Only one of hers was ended: this browser still has to leave.
        one.browser.post("/accounts/logout/", data=one.csrf())
        for (how, kind), closed in closing.items():
            code, at = closed.result(CLOSES_WITHIN)
            assert code == UNAUTHENTICATED, (how, kind)
            timings.info("%s of %s closed after %.2f s", kind, how, at - begun)
            assert at - told < CLOSES_WITHIN, (how, kind)

    for person in (one, others, password):
        assert person.elsewhere.get("/me")["email"]
        assert person.elsewhere.message(person.own_reply)["status"] == "streaming"
        kept = person.elsewhere.message(person.reply)
        assert kept["status"] == "stopped"
        assert kept["content"].startswith(person.heard)
    for person in (leaving, active, role):
        assert person.elsewhere.http.get("/me").status_code == 401
        person.close()
    for person in (one, others, password):
        person.elsewhere.post(f"/messages/{person.own_reply}/stop")
        person.close()


@dataclass
class Everywhere:
    """Somebody with a program and a browser at one process, and a program at another.

    Each program has a reply being written for it.
    """

    program: Person
    socket: Socket
    reply: str
    heard: str
    browser: httpx.Client
    page: Socket
    elsewhere: Person
    own_reply: str

    def shows_settings(self) -> int:
        return self.browser.get("/settings/profile").status_code

    def csrf(self) -> dict[str, str]:
        return {"csrfmiddlewaretoken": self.browser.cookies["csrf"]}

    def is_stopped(self) -> bool:
        query = "SELECT status FROM conversations_message WHERE id = "
        found = rows(self.program.server, f"{query}'{self.reply}'")
        # Of somebody who left there may be nothing any more.
        return found in ([], [("stopped",)])

    def close(self) -> None:
        self.socket.connection.close()
        self.page.connection.close()
        self.browser.close()
        self.elsewhere.close()


def _sign_in_everywhere(program: Person, other: Server) -> Everywhere:
    email = program.get("/me")["email"]
    browser = _browser(program.server, email)
    tokens = program.post("/auth/login", email=email, password=PASSWORD)
    elsewhere = Person(other, tokens["access_token"])
    socket = program.socket().__enter__()
    socket.say(program.open_conversation())
    heard = Heard().take_until(50, socket.replies())
    own = elsewhere.say(elsewhere.open_conversation())
    return Everywhere(
        program=program,
        socket=socket,
        reply=heard.message_id,
        heard=heard.text,
        browser=browser,
        page=PageSocket(program.server, browser.cookies["session"]).__enter__(),
        elsewhere=elsewhere,
        own_reply=own["reply"]["id"],
    )


def _browser(server: Server, email: str) -> httpx.Client:
    browser = httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False)
    form = browser.get("/accounts/login/").text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    assert token is not None
    body = {"login": email, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    assert browser.post("/accounts/login/", data=body).status_code == 302
    return browser


def _closed(opened: Socket) -> tuple[int | None, float]:
    return opened.wait_for_close(), time.monotonic()


def _assert_a_logout_closes(people: list[Person], alice: Person) -> None:
    sockets = [person.socket().__enter__() for person in people]

    alice.post("/auth/logout", refresh_token=alice.refresh_token)

    begun = time.monotonic()
    for socket in sockets:
        with socket:
            left = begun + CLOSES_WITHIN - time.monotonic()
            assert socket.wait_for_close(left) == UNAUTHENTICATED
            timings.info("closed after %.2f s", time.monotonic() - begun)
