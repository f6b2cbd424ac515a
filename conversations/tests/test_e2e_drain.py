"""A server that is told to end takes no more turns and leaves nothing half done."""

import signal
from concurrent.futures import ThreadPoolExecutor

import httpx

from config.testing import Server
from conversations.tests.clients import Heard, Person, wait_for
from conversations.tests.stored import (
    assert_books_balance,
    is_streaming,
    messages,
    replies,
)
from conversations.tests.storyteller import story


def test_it_lets_replies_finish(serve, sign_up):
    server = serve(words=300, DRAIN_SECONDS="30")
    alice = sign_up(server)
    spare = alice.open_conversation()
    with alice.socket() as socket, alice.chat(alice.open_conversation()) as stream:
        assert next(stream.events)["type"] == "message.created"
        by_stream = Heard().take_until(200, stream.events)
        written = alice.say(alice.open_conversation())["reply"]["id"]
        followed = Heard().take_until(50, socket.follow(written))

        _tell_to_end(server)

        answer = wait_for(lambda: _refusal(alice, spare))
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        with alice.socket() as other:
            other.command("message.send", conversation_id=spare, content="And now?")
            assert _error(other)["code"] == "unavailable"
        assert by_stream.take_all(stream.events).text == story(300)
        assert followed.take_all(socket.replies(written)).text == story(300)

    assert server.process.wait(30) == 0
    assert replies(server) == [story(300)] * len(replies(server))
    assert not is_streaming(server)
    assert "Traceback" not in server.log


def test_it_keeps_the_words_of_those_that_take_too_long(serve, sign_up):
    server = serve(words=3000, DRAIN_SECONDS="0.5")
    alice = sign_up(server)
    with alice.socket() as socket:
        socket.say(alice.open_conversation())
        heard = Heard().take_until(500, socket.replies())

        _tell_to_end(server)

        heard.take_all(socket.replies(heard.message_id))
    assert heard.ending == "interrupted"
    assert server.process.wait(30) == 0
    assert replies(server) == [heard.text]
    assert not is_streaming(server)
    assert_books_balance(server)
    assert "Traceback" not in server.log


def test_it_ends_at_once_on_ctrl_c(serve, sign_up):
    server = serve(words=3000)
    alice = sign_up(server)
    with alice.socket() as socket:
        socket.say(alice.open_conversation())
        heard = Heard().take_until(500, socket.replies())

        assert server.interrupt() == 0

    (text,) = replies(server)
    assert text.startswith(heard.text)
    assert not is_streaming(server)
    assert "Traceback" not in server.log


def test_it_leaves_nothing_half_done_when_many_ask(serve, sign_up):
    server = serve(words=20, rate=1000)
    alice = sign_up(server)
    conversations = [alice.open_conversation() for _ in range(8)]

    with ThreadPoolExecutor(len(conversations)) as threads:
        asking = [threads.submit(_say_until_told_off, alice, c) for c in conversations]
        wait_for(lambda: messages(server, "role = 'user'") > 30)
        _tell_to_end(server)
        acknowledged = [pk for done in asking for pk in done.result(60)]

    assert server.process.wait(30) == 0
    assert not is_streaming(server)
    assert set(replies(server)) == {story(20)}
    assert messages(server, "role = 'user'") == len(replies(server))
    assert len(acknowledged) <= len(replies(server))
    assert "Traceback" not in server.log


def _say_until_told_off(alice: Person, conversation: str) -> list[str]:
    """Send one message after the other; return the ids of those that were taken."""
    path, taken = f"/conversations/{conversation}/messages?wait=true", []
    person = alice.at(alice.server)
    while True:
        try:
            answer = person.http.post(path, json={"content": "Tell me."})
        except httpx.TransportError:  # it has gone
            return taken
        if answer.status_code == 503:
            return taken
        taken.append(answer.json()["message"]["id"])


def _tell_to_end(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)


def _refusal(alice: Person, conversation: str) -> httpx.Response | None:
    path = f"/conversations/{conversation}/messages"
    answer = alice.http.post(path, json={"content": "And now?"})
    return answer if answer.status_code == 503 else None


def _error(socket) -> dict:
    while (event := socket.next())["type"] != "error":
        pass
    return event
