"""PostgreSQL may go away and come back: replies are written on, requests are told."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from config.testing import Postgres
from conversations.tests.clients import Heard, Person, Socket, timings, wait_for
from conversations.tests.stored import assert_books_balance, is_streaming, replies
from conversations.tests.storyteller import story

pytestmark = pytest.mark.postgres

WORDS = 600
DIRECT = {"trust_env": False, "timeout": 60}


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_it_outlives_a_restart(serve, sign_up, postgres: Postgres, how):
    server = serve(words=WORDS, DATABASE_URL=postgres.url())
    alice = sign_up(server)
    answers: list[httpx.Response] = []
    with (
        alice.socket() as socket,
        alice.socket() as other,
        _somebody_asking_all_the_time(alice, answers),
    ):
        socket.say(alice.open_conversation())
        heard = Heard().take_until(300, socket.replies())

        postgres.stop() if how == "fast" else postgres.crash()
        # At once: each waits for a while, in case the database comes back.
        with ThreadPoolExecutor() as threads:
            said = threads.submit(_error_of, other)
            page = threads.submit(httpx.get, f"{server.url}/health", **DIRECT)
            new = threads.submit(
                alice.http.post, "/conversations", json={"character": "assistant"}
            )
            wait_for(lambda: answers[-1].status_code == 503)
        postgres.start()
        back = time.monotonic()

        (conversation,) = alice.get("/conversations")["results"]
        timings.info("answers after %.2f s", time.monotonic() - back)
        other.command("read", conversation_id=conversation["id"])
        other.expect("read")
        timings.info("the socket obeys after %.2f s", time.monotonic() - back)
        heard.take_all(socket.replies(heard.message_id))

    assert said.result()["code"] == "unavailable"
    assert page.result().status_code == 503
    _assert_it_is_refused(new.result())
    assert (heard.ending, heard.text) == ("finished", story(WORDS))
    assert replies(server) == [story(WORDS)]
    assert not is_streaming(server)
    assert_books_balance(server)
    for answer in answers:
        if answer.status_code != 200:
            _assert_it_is_refused(answer)
    sent = alice.say(alice.open_conversation())
    assert alice.ended(sent["reply"]["id"])["content"] == story(WORDS)
    assert "background work failed" not in server.log
    assert "generation broke" not in server.log


def _assert_it_is_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "unavailable"
    assert "Traceback" not in answer.text


def _error_of(socket: Socket) -> dict[str, Any]:
    """Command something that needs the database, and return the refusal."""
    socket.command("typing", conversation_id="0" * 32)
    while (event := socket.next())["type"] != "error":
        pass
    return event


@contextmanager
def _somebody_asking_all_the_time(
    alice: Person, answers: list[httpx.Response]
) -> Iterator[None]:
    is_over = threading.Event()
    person = alice.at(alice.server)

    def ask() -> None:
        while not is_over.is_set():
            answers.append(person.http.get("/conversations"))
            is_over.wait(0.05)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
