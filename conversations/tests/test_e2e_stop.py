"""Stop reaches the model within a second, from wherever it is asked for."""

import time

import pytest

from conversations.tests.clients import Heard, Person, Socket, timings
from conversations.tests.stored import assert_books_balance
from conversations.tests.storyteller import Storyteller, story

#: The promise, and what a busy machine may add to it.
STOPS_WITHIN = 1.0 + 0.5


def test_it_stops_over_rest(serve, sign_up, storyteller):
    alice = sign_up(serve(words=2000))
    with alice.socket() as socket:
        heard = _begin(alice, socket)

        asked = time.monotonic()
        alice.post(f"/messages/{heard.message_id}/stop")

        _assert_it_stopped(alice, socket, heard, storyteller, asked)
    assert_books_balance(alice.server)


def test_it_stops_over_the_socket(serve, sign_up, storyteller):
    # The other provider, whose connections are its client library's.
    alice = sign_up(
        serve(
            LLM_PROVIDER="openai",
            OPENAI_BASE_URL=f"{storyteller.url}/v1",
            OPENAI_MODEL="story-2000-100",
        )
    )
    with alice.socket() as socket:
        heard = _begin(alice, socket)

        asked = time.monotonic()
        socket.command("message.stop", message_id=heard.message_id)

        _assert_it_stopped(alice, socket, heard, storyteller, asked)


@pytest.mark.postgres
def test_it_stops_from_another_process(pair, sign_up, storyteller):
    server, other = pair(words=2000)
    alice = sign_up(server)
    with alice.socket() as socket:
        heard = _begin(alice, socket)

        asked = time.monotonic()
        alice.at(other).post(f"/messages/{heard.message_id}/stop")

        _assert_it_stopped(alice, socket, heard, storyteller, asked)
    assert_books_balance(server)


def _begin(alice: Person, socket: Socket) -> Heard:
    socket.say(alice.open_conversation())
    return Heard().take_until(400, socket.replies())


def _assert_it_stopped(
    alice: Person,
    socket: Socket,
    heard: Heard,
    storyteller: Storyteller,
    asked: float,
) -> None:
    took = storyteller.wait_for_hangup(10) - asked
    timings.info("the model was left after %.3f s", took)
    assert took < STOPS_WITHIN
    heard.take_all(socket.replies())
    assert heard.ending == "stopped"
    assert heard.end["code"] == "stopped"
    assert story(2000).startswith(heard.text)

    reply = alice.message(heard.message_id)
    assert (reply["status"], reply["content"]) == ("stopped", heard.text)
    assert len(storyteller.prompts) == 1
