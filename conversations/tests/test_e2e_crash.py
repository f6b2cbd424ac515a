"""A server that is killed loses a second of words at most, and nothing else."""

import random
import time

import pytest

from conversations.tests.clients import Heard, Person, timings
from conversations.tests.stored import (
    assert_books_balance,
    is_streaming,
    messages,
    replies,
)
from conversations.tests.storyteller import story

WORDS = 400
TIMES = 5
#: The promise, and what a busy machine may add to it.
LOSES_AT_MOST = 1.0 + 0.5
IS_SEEN_WITHIN = 20.0


class Witness:
    """What one client saw of a reply before the server was killed."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.message = self.reply = ""
        self.lengths: list[tuple[float, int]] = []
        self.killed_at = 0.0

    @property
    def length_that_must_survive(self) -> int:
        until = self.killed_at - LOSES_AT_MOST
        return max((length for when, length in self.lengths if when < until), default=0)


@pytest.mark.parametrize("seed", [1])
def test_it_survives_being_killed_at_any_moment(serve, sign_up, storyteller, seed):
    moments = random.Random(seed)
    server = serve(words=WORDS, rate=100)
    alice = sign_up(server)
    witnesses: list[Witness] = []

    for _ in range(TIMES):
        witness = _watch_it_die(alice, moments.uniform(0.0, 3.5))
        server.start()
        restarted = time.monotonic()
        if witness.reply:
            reply = alice.ended(witness.reply, IS_SEEN_WITHIN)
            timings.info("interrupted after %.2f s", time.monotonic() - restarted)
            _assert_it_kept(alice, witness, reply)
            witnesses.append(witness)

    assert not is_streaming(server)
    assert messages(server, "role = 'user'") == len(replies(server))
    for witness in witnesses:
        alice.post(f"/messages/{witness.reply}/continue")
    for witness in witnesses:
        reply = alice.ended(witness.reply)
        assert (reply["status"], reply["content"]) == ("complete", story(WORDS))
    assert_books_balance(server)
    assert "Traceback" not in server.log


def _watch_it_die(alice: Person, delay: float) -> Witness:
    """Send a message and kill the server `delay` seconds later."""
    witness = Witness()
    conversation = alice.open_conversation()
    with alice.socket() as socket:
        socket.command("message.send", conversation_id=conversation, content="Tell me.")
        until = time.monotonic() + delay
        while (left := until - time.monotonic()) > 0:
            try:
                event = socket.next(left)
            except TimeoutError:
                break
            if event["type"] == "message.created":
                witness.message = event["message"]["id"]
            elif event["type"].startswith("reply."):
                witness.heard.take(event)
                witness.reply = witness.heard.message_id
                witness.lengths.append((time.monotonic(), len(witness.heard.text)))
        witness.killed_at = time.monotonic()
        alice.server.kill()
        socket.wait_for_close()
    return witness


def _assert_it_kept(alice: Person, witness: Witness, reply: dict) -> None:
    message = alice.message(witness.message)
    assert (message["content"], message["role"]) == ("Tell me.", "user")
    assert reply["status"] == "interrupted"
    assert reply["error"]["code"] == "interrupted"
    assert story(WORDS).startswith(reply["content"])
    assert len(reply["content"]) >= witness.length_that_must_survive

    # Who saw more than survived is shown all there is, and how it ended.
    heard = witness.heard
    with alice.socket() as socket:
        after = Heard(heard.seq, heard.text)
        after.take_all(socket.follow(witness.reply, heard.seq))
    assert (after.ending, after.text) == ("interrupted", reply["content"])


@pytest.mark.postgres
def test_it_is_seen_by_the_other_process(pair, sign_up):
    server, other = pair(words=300)
    alice = sign_up(server)
    elsewhere = alice.at(other)
    with alice.socket() as socket, elsewhere.socket() as follower:
        socket.say(alice.open_conversation())
        heard = Heard().take_until(400, socket.replies())
        events = follower.follow(heard.message_id)
        followed = Heard().take_until(300, events)

        server.kill()
        killed = time.monotonic()

        followed.take_all(events)
        timings.info("told elsewhere after %.2f s", time.monotonic() - killed)
    assert followed.ending == "interrupted"
    reply = elsewhere.message(heard.message_id)
    assert reply["status"] == "interrupted"
    elsewhere.post(f"/messages/{heard.message_id}/continue")
    assert elsewhere.ended(heard.message_id)["content"] == story(300)
