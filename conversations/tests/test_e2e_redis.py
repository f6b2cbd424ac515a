"""Redis carries what moves between processes; nothing is lost where it fails."""

from collections.abc import Callable
from functools import partial

import pytest

from config.testing import Redis, Server
from conversations.tests.clients import Heard, Person, Socket, wait_for
from conversations.tests.stored import assert_books_balance, is_streaming, replies
from conversations.tests.storyteller import story

pytestmark = pytest.mark.postgres


@pytest.fixture
def servers(serve, redis_server: Redis) -> tuple[Server, Server]:
    first = serve(words=300, REDIS_URL=redis_server.url)
    url = first.environment["DATABASE_URL"]
    return first, serve(words=300, REDIS_URL=redis_server.url, DATABASE_URL=url)


def test_it_writes_on_when_redis_is_stopped(servers, sign_up, redis_server):
    alice = sign_up(servers[0])

    _live_through(redis_server.stop, alice, servers[1])
    _chat(alice, servers[1])
    redis_server.start()

    _assert_rings_are_heard_again(alice, servers[1])
    wait_for(lambda: not is_streaming(servers[0]))
    assert_books_balance(servers[0])


def test_it_writes_on_when_redis_hangs(servers, sign_up, redis_server):
    alice = sign_up(servers[0])

    _live_through(redis_server.pause, alice, servers[1])
    _chat(alice, servers[1])
    redis_server.resume()

    _assert_rings_are_heard_again(alice, servers[1])


def test_it_writes_on_when_redis_is_flushed(servers, sign_up, redis_server):
    alice = sign_up(servers[0])

    _live_through(redis_server.flush, alice, servers[1])

    _assert_rings_are_heard_again(alice, servers[1])


def _live_through(fault: Callable[[], None], alice: Person, other: Server) -> None:
    """Do it while a reply is written and followed at both processes."""
    with alice.socket() as socket, alice.at(other).socket() as follower:
        socket.say(alice.open_conversation())
        heard = Heard().take_until(200, socket.replies())
        events = follower.follow(heard.message_id)
        followed = Heard().take_until(300, events)

        fault()

        heard.take_all(socket.replies(heard.message_id))
        followed.take_all(events)
    assert (heard.ending, heard.text) == ("finished", story(300))
    assert (followed.ending, followed.text) == ("finished", story(300))
    assert replies(other) == [story(300)]


def _chat(alice: Person, other: Server) -> None:
    """Sign in, send and read at both processes."""
    for person in (alice, alice.at(other)):
        sent = person.say(person.open_conversation())
        assert person.ended(sent["reply"]["id"])["content"] == story(300)


def _assert_rings_are_heard_again(alice: Person, other: Server) -> None:
    with alice.at(other).socket() as socket:
        wait_for(partial(_hears_of_a_turn, alice, socket))
        heard = Heard().take_all(socket.replies())
    assert heard.text == story(300)


def _hears_of_a_turn(alice: Person, socket: Socket) -> bool:
    alice.say(alice.open_conversation())
    try:
        return socket.next(2)["type"] == "message.created"
    except TimeoutError:
        return False
