"""PostgreSQL may go away and come back: replies are written on, requests are told."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidMessage

from config.testing import Postgres, Server
from conversations.sockets import UNAVAILABLE
from conversations.tests.clients import Heard, Person, Socket, timings
from conversations.tests.stored import assert_books_balance, is_streaming, replies
from conversations.tests.storyteller import story

pytestmark = pytest.mark.postgres

WORDS = 600


def test_it_outlives_restarts(serve, sign_up, postgres: Postgres):
    url = postgres.url()
    server, other = (serve(words=WORDS, DATABASE_URL=url) for _ in range(2))
    alice = sign_up(server)

    _live_through(postgres.stop, postgres, alice, other, is_long=False)
    _live_through(postgres.crash, postgres, alice, other, is_long=True)

    assert replies(server) == [story(WORDS)] * 2
    assert not is_streaming(server)
    assert_books_balance(server)
    sent = alice.say(alice.open_conversation())
    assert alice.ended(sent["reply"]["id"])["content"] == story(WORDS)
    with alice.socket() as socket, ThreadPoolExecutor(1) as threads:
        postgres.stop()
        threads.submit(alice.http.get, "/conversations")
        socket.command("typing", conversation_id="0" * 32)
        assert server.terminate() == 0
    for log in (server.log, other.log):
        assert "background work failed" not in log
        assert "generation broke" not in log


def _live_through(
    fault: Callable[[], None],
    postgres: Postgres,
    alice: Person,
    other: Server,
    *,
    is_long: bool,
) -> None:
    """Do it while a reply is written, and followed at a process that has no Redis."""
    conversation = alice.open_conversation()
    with (
        alice.socket() as socket,
        alice.socket() as idle,
        _somebody_asking_all_the_time(alice) as answers,
    ):
        socket.say(conversation)
        heard = Heard().take_until(300, socket.replies())
        with alice.at(other).follow(heard.message_id) as stream:
            followed = Heard().take_until(1, stream.events)

            fault()
            if is_long:
                _assert_everybody_is_told(alice, idle)
            postgres.start()

            begun = time.monotonic()
            alice.get("/conversations")
            timings.info("answers after %.2f s", time.monotonic() - begun)
            idle.command("read", conversation_id=conversation)
            idle.expect("read")
            timings.info("a socket obeys after %.2f s", time.monotonic() - begun)
            heard.take_all(socket.replies(heard.message_id))
            followed.take_all(stream.events)
    assert (heard.ending, heard.text) == ("finished", story(WORDS))
    assert (followed.ending, followed.text) == ("finished", story(WORDS))
    for answer in answers:
        if answer.status_code != 200:
            _assert_it_is_refused(answer)


def _assert_everybody_is_told(alice: Person, idle: Socket) -> None:
    # At once: each is held for a while, in case the database comes back.
    with ThreadPoolExecutor() as threads:
        command = threads.submit(_refusal_of_a_command, idle)
        handshake = threads.submit(_close_code_of_a_handshake, alice)
        health = threads.submit(httpx.get, f"{alice.server.url}/health", timeout=60)
        character = {"character": "assistant"}
        post = threads.submit(alice.http.post, "/conversations", json=character)
    assert command.result()["code"] == "unavailable"
    # What matters is that it is not a 403: the session is not over.
    assert handshake.result() in (UNAVAILABLE, None)
    assert health.result().status_code == 503
    _assert_it_is_refused(post.result())


def _assert_it_is_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "unavailable"
    assert "Traceback" not in answer.text


def _refusal_of_a_command(socket: Socket) -> dict[str, Any]:
    socket.command("typing", conversation_id="0" * 32)
    while (event := socket.next())["type"] != "error":
        pass
    return event


def _close_code_of_a_handshake(alice: Person) -> int | None:
    """Return the code, or None where the handshake was not answered in time."""
    try:
        with alice.socket() as socket:
            return socket.wait_for_close()
    except InvalidMessage:
        return None


@contextmanager
def _somebody_asking_all_the_time(alice: Person) -> Iterator[list[httpx.Response]]:
    is_over = threading.Event()
    answers: list[httpx.Response] = []
    person = alice.at(alice.server)

    def ask() -> None:
        while not is_over.is_set():
            answers.append(person.http.get("/conversations"))
            is_over.wait(0.05)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        thread.join()
