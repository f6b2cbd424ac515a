"""Whoever leaves a reply loses nothing, and whoever comes sees all of it once."""

import os

import pytest

from conversations.tests.clients import Heard, Person
from conversations.tests.stored import is_streaming, replies
from conversations.tests.storyteller import story


def test_it_writes_to_the_end_when_nobody_listens_any_more(serve, sign_up, storyteller):
    server = serve(words=150)
    alice = sign_up(server)
    lost: list[str] = []

    for with_reset in (False, True):
        with alice.socket() as socket:
            socket.say(alice.open_conversation())
            lost.append(Heard().take_until(300, socket.replies()).message_id)
            socket.drop(with_reset=with_reset)
        with alice.chat(alice.open_conversation()) as stream:
            assert next(stream.events)["type"] == "message.created"
            lost.append(Heard().take_until(300, stream.events).message_id)
            stream.drop(with_reset=with_reset)

    ended = [alice.ended(reply) for reply in lost]
    assert [reply["status"] for reply in ended] == ["complete"] * 4
    assert [reply["content"] for reply in ended] == [story(150)] * 4
    assert replies(server) == [story(150)] * 4
    assert len(storyteller.prompts) == 4


def test_it_shows_all_to_those_who_come_back(serve, sign_up, storyteller):
    server = serve(words=300)
    alice = sign_up(server)
    with alice.socket() as socket:
        socket.say(alice.open_conversation())
        heard = Heard().take_until(400, socket.replies())
        socket.drop()

    _assert_followers_hear_all(alice, heard, story(300))

    assert len(storyteller.prompts) == 1


@pytest.mark.postgres
def test_it_shows_all_to_those_who_come_to_another_process(pair, sign_up, storyteller):
    server, other = pair(words=400)
    alice = sign_up(server)
    with alice.socket() as socket:
        socket.say(alice.open_conversation())
        heard = Heard().take_until(400, socket.replies())

    _assert_followers_hear_all(alice.at(other), heard, story(400))

    assert len(storyteller.prompts) == 1


@pytest.mark.postgres
def test_what_goes_on_elsewhere_is_heard_as_it_is_written(serve, sign_up):
    redis = os.environ["REDIS_URL"]
    server = serve(words=400, REDIS_URL=redis)
    other = serve(REDIS_URL=redis, DATABASE_URL=server.environment["DATABASE_URL"])
    alice = sign_up(server)
    with alice.socket() as socket:
        socket.say(alice.open_conversation())
        heard = Heard().take_until(400, socket.replies())
        alice.post(f"/messages/{heard.message_id}/stop")
        heard.take_all(socket.replies(heard.message_id))

    alice.post(f"/messages/{heard.message_id}/continue")
    with alice.at(other).follow(heard.message_id, heard.seq) as stream:
        events = list(stream.events)

    assert alice.ended(heard.message_id)["content"] == story(400)
    # The database has something new once a second.
    assert len(events) > 20


def _assert_followers_hear_all(alice: Person, heard: Heard, text: str) -> None:
    reply = heard.message_id
    with (
        alice.socket() as socket,
        alice.socket() as fresh_socket,
        alice.follow(reply, heard.seq) as stream,
        alice.follow(reply, heard.seq, by_header=True) as event_source,
        alice.follow(reply) as fresh_stream,
    ):
        followers = {
            "socket": socket.follow(reply, heard.seq),
            "stream": stream.events,
            "event source": event_source.events,
            "fresh socket": fresh_socket.follow(reply),
            "fresh stream": fresh_stream.events,
        }
        assert is_streaming(alice.server)
        for name, events in followers.items():
            is_fresh = name.startswith("fresh")
            follower = Heard() if is_fresh else Heard(heard.seq, heard.text)
            follower.take_all(events)
            assert (follower.ending, follower.text) == ("finished", text), name

        assert [*stream.events, *event_source.events, *fresh_stream.events] == []
        assert stream.is_done
        assert event_source.is_done

    with alice.socket() as late:
        later = Heard().take_all(late.follow(reply))
    assert (later.ending, later.text) == ("finished", text)


@pytest.mark.postgres
def test_it_tells_a_socket_of_another_process_what_happens(serve, sign_up):
    options = {"words": 200, "REDIS_URL": os.environ["REDIS_URL"]}
    server = serve(**options)
    other = serve(DATABASE_URL=server.environment["DATABASE_URL"], **options)
    alice = sign_up(server)
    conversation = alice.open_conversation()

    with alice.at(other).socket() as socket:
        alice.say(conversation, client_id="from the phone")
        created = socket.expect("message.created")
        heard = Heard().take_all(socket.replies())

    assert created["client_id"] == "from the phone"
    assert (heard.ending, heard.text) == ("finished", story(200))
