"""Many at once: each reads exactly what the model wrote, and so does the database."""

import json
import socket as sockets
import time
from concurrent.futures import ThreadPoolExecutor

from config.testing import Server
from conversations.tests.clients import Heard, Person
from conversations.tests.stored import assert_books_balance, replies
from conversations.tests.storyteller import story

PEOPLE = 30

MAKE_PEOPLE = """
import json
from accounts.authentication import sessions
from accounts.models import User
from characters.models import Character
from conversations import lifecycle, turns
character = Character.objects.get(slug="assistant")
for number in range({count}):
    user = User.objects.create_user(f"{{number}}@example.com")
    conversation = lifecycle.begin(user, character)
    print(json.dumps([sessions.open_session(user).access, str(conversation.pk)]))
"""


def test_it_serves_thirty_sockets_at_once(serve, storyteller):
    server = serve(words=150, rate=50)

    with ThreadPoolExecutor(PEOPLE) as threads:
        heard = list(threads.map(_chat, _people(server, PEOPLE)))

    assert {each.ending for each in heard} == {"finished"}
    assert {each.text for each in heard} == {story(150)}
    assert replies(server) == [story(150)] * PEOPLE
    assert len(storyteller.prompts) == PEOPLE
    assert "database is locked" not in server.log
    assert "Traceback" not in server.log
    assert_books_balance(server)


def test_it_lets_nobody_wait_for_a_slow_reader(serve):
    server = serve(words=10_000, rate=4_000)
    (slow, slow_talk), (quick, quick_talk) = _people(server, 2)

    with slow.chat(slow_talk) as stream, quick.socket() as socket:
        raw = stream.answer.extensions["network_stream"].get_extra_info("socket")
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        next(stream.events)

        begun = time.monotonic()
        socket.say(quick_talk)
        heard = Heard().take_all(socket.replies())
        took = time.monotonic() - begun

        # Only now does the slow one read.
        late = Heard().take_all(stream.events)

    assert (heard.ending, heard.text) == ("finished", story(10_000))
    assert took < 20
    assert (late.ending, late.text) == ("finished", story(10_000))
    slow.close()
    quick.close()


def _people(server: Server, count: int) -> list[tuple[Person, str]]:
    """Make people with a conversation each, faster than they could sign up."""
    lines = server.shell(MAKE_PEOPLE.format(count=count)).splitlines()
    made = [json.loads(line) for line in lines if line.startswith("[")]
    return [(Person(server, token), conversation) for token, conversation in made]


def _chat(account: tuple[Person, str]) -> Heard:
    person, conversation = account
    with person.socket() as socket:
        socket.say(conversation)
        heard = Heard().take_all(socket.replies())
    person.close()
    return heard
