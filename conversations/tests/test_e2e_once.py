"""A message sent ten times at once is one message, one reply and one bill."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest

from conversations.tests.clients import Heard, Person
from conversations.tests.stored import assert_books_balance, messages, replies
from conversations.tests.storyteller import story

#: The message's id, the reply's, and the text of the reply as far as one was told it.
Answer = tuple[str, str, str | None]
Send = Callable[[str, str], Answer]


def test_it_takes_ten_copies_for_one(serve, sign_up, storyteller):
    alice = sign_up(serve(words=100))

    _send_ten_at_once([alice] * 10)

    assert len(storyteller.prompts) == 1
    _assert_there_is_one(alice)


@pytest.mark.postgres
def test_it_takes_copies_at_two_processes_for_one(pair, sign_up, storyteller):
    server, other = pair(words=100)
    alice = sign_up(server)

    _send_ten_at_once([alice, alice.at(other)] * 5)

    assert len(storyteller.prompts) == 1
    _assert_there_is_one(alice)


def test_it_refuses_the_same_id_for_other_words(serve, sign_up):
    alice = sign_up(serve(words=5))
    conversation = alice.open_conversation()
    sent = alice.say(conversation, client_id="1")
    alice.ended(sent["reply"]["id"])

    path = f"/conversations/{conversation}/messages"
    again = {"content": "Something else.", "client_id": "1"}
    answer = alice.http.post(path, json=again)

    assert (answer.status_code, answer.json()["code"]) == (409, "client_id_reused")


def _send_ten_at_once(people: list[Person]) -> None:
    conversation, client_id = people[0].open_conversation(), str(uuid.uuid4())
    barrier = Barrier(len(people))
    # Pairs, so that with two processes each transport meets both of them.
    ways = [_by_socket, _by_socket, _by_stream, _by_stream, _by_rest, _by_rest]
    calls = [
        partial(ways[i % len(ways)], person, barrier, conversation, client_id)
        for i, person in enumerate(people)
    ]
    with ThreadPoolExecutor(len(calls)) as threads:
        answers = [done.result(60) for done in [threads.submit(call) for call in calls]]

    assert len({answer[:2] for answer in answers}) == 1
    assert {answer[2] for answer in answers} == {story(100), None}


def _assert_there_is_one(alice: Person) -> None:
    assert messages(alice.server, "role = 'user'") == 1
    assert replies(alice.server) == [story(100)]
    assert_books_balance(alice.server)


def _by_rest(alice: Person, barrier: Barrier, conversation: str, key: str) -> Answer:
    barrier.wait(30)
    answer = alice.say(conversation, client_id=key)
    alice.ended(answer["reply"]["id"])
    return answer["message"]["id"], answer["reply"]["id"], None


def _by_stream(alice: Person, barrier: Barrier, conversation: str, key: str) -> Answer:
    barrier.wait(30)
    with alice.chat(conversation, client_id=key) as stream:
        created = next(stream.events)
        heard = Heard().take_all(stream.events)
    return created["message"]["id"], heard.message_id, heard.text


def _by_socket(alice: Person, barrier: Barrier, conversation: str, key: str) -> Answer:
    with alice.socket() as socket:
        barrier.wait(30)
        created = socket.say(conversation, client_id=key)
        heard = Heard().take_all(socket.replies())
    return created["message"]["id"], heard.message_id, heard.text
