"""Who has lost the right to read a reply hears no more of it, at whatever process."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from conversations.tests.clients import PASSWORD, Person, timings, wait_for
from conversations.tests.stored import is_streaming

#: The promise, and what a busy machine may add to it.
ENDS_WITHIN = 5.0 + 1.0

TEAM = """
from accounts.models import Team, User
team = Team.objects.create(name='Ours')
User.objects.filter(email='alice@example.com').update(team=team)
User.objects.filter(email='sofia@example.com').update(team=team, role='supervisor')
"""
LEAVE = """
from accounts.models import User
User.objects.filter(email='alice@example.com').update(team=None)
"""


def test_it_ends_the_streams_of_a_session_that_is_over(serve, sign_up):
    server = serve(words=3000)
    alice = sign_up(server)

    _assert_a_logout_ends_streams(alice, of=alice)


@pytest.mark.postgres
def test_it_ends_streams_at_another_process(pair, sign_up):
    server, other = pair(words=3000)
    alice = sign_up(server)

    _assert_a_logout_ends_streams(alice.at(other), of=alice)


def test_it_ends_a_stream_to_which_the_model_says_nothing(serve, sign_up):
    alice = sign_up(serve(OLLAMA_MODEL="hang_mid"))

    _assert_a_logout_ends_streams(alice, of=alice)


@pytest.mark.postgres
def test_it_ends_what_a_supervisor_follows_of_who_left_the_team(pair, sign_up):
    server, other = pair(words=3000)
    alice, sofia = sign_up(server), sign_up(other, "sofia@example.com")
    server.shell(TEAM)
    reply = alice.say(alice.open_conversation())["reply"]["id"]
    with sofia.socket() as socket, sofia.follow(reply) as stream:
        heard = socket.follow(reply)
        next(heard)
        next(stream.events)

        with ThreadPoolExecutor(2) as readers:
            ended = readers.submit(_ending, stream)
            told = readers.submit(_refusal, socket)
            server.shell(LEAVE)
            begun = time.monotonic()
            error, at = ended.result(ENDS_WITHIN)
            timings.info("the stream ended after %.2f s", at - begun)
            refused, at = told.result(ENDS_WITHIN)
            timings.info("the socket was told after %.2f s", at - begun)

        assert error["code"] == refused["code"] == "not_found"
        assert refused["message_id"] == reply
        socket.command("ping")
        assert socket.expect("pong")
    assert is_streaming(server)
    alice.post(f"/messages/{reply}/stop")


def _assert_a_logout_ends_streams(reading: Person, of: Person) -> None:
    """One session of somebody follows what another wrote for itself."""
    known = {"email": of.get("/me")["email"], "password": PASSWORD}
    token = of.post("/auth/login", **known)["access_token"]
    with (
        closing(Person(of.server, token)) as writing,
        ThreadPoolExecutor(1) as reader,
    ):
        reply = writing.say(writing.open_conversation())["reply"]["id"]
        with reading.follow(reply) as stream:
            next(stream.events)
            ended = reader.submit(_ending, stream)
            reading.post("/auth/logout", refresh_token=reading.refresh_token)
            begun = time.monotonic()

            error, at = ended.result(ENDS_WITHIN)

            timings.info("ended after %.2f s", at - begun)
            assert error["code"] == "not_authenticated"
            assert stream.is_done
        assert writing.message(reply)["status"] == "streaming"
        writing.post(f"/messages/{reply}/stop")
        wait_for(lambda: not is_streaming(of.server))


def _ending(stream) -> tuple[dict, float]:
    """Return the last event of a stream, and when it ended."""
    *_before, last = stream.events
    return last, time.monotonic()


def _refusal(socket) -> tuple[dict, float]:
    while (event := socket.next())["type"] != "error":
        pass
    return event, time.monotonic()
