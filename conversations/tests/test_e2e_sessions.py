"""Who has lost the right to be here is out within five seconds, everywhere."""

import time

import pytest

from conversations.tests.clients import Heard, Person, timings, wait_for
from conversations.tests.stored import is_streaming, replies
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
            "User.objects.get(email='alice@example.com').set_active(False)"
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


def _assert_a_logout_closes(people: list[Person], alice: Person) -> None:
    sockets = [person.socket().__enter__() for person in people]

    alice.post("/auth/logout", refresh_token=alice.refresh_token)

    begun = time.monotonic()
    for socket in sockets:
        with socket:
            left = begun + CLOSES_WITHIN - time.monotonic()
            assert socket.wait_for_close(left) == UNAUTHENTICATED
            timings.info("closed after %.2f s", time.monotonic() - begun)
