"""The servers and the guard that every other test relies on."""

import socket
import urllib.request

import pytest

from config.testing import Postgres, Redis
from config.testing.guard import LeftLoopback


@pytest.mark.parametrize("address", ["192.0.2.1", "8.8.8.8", "example.org"])
def test_it_refuses_to_leave_this_machine(address):
    with socket.socket() as outgoing, pytest.raises(LeftLoopback):
        outgoing.connect((address, 80))


def test_it_refuses_to_look_up_another_machine():
    with pytest.raises(LeftLoopback):
        urllib.request.urlopen("http://example.org/", timeout=1)


def test_it_lets_tests_talk_to_themselves():
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as connection,
    ):
        assert connection.getpeername() == listening.getsockname()


@pytest.mark.postgres
def test_postgres_keeps_its_rows_through_a_crash(postgres: Postgres):
    with postgres.connect() as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute("CREATE TABLE words AS SELECT 'kept' AS word")

    postgres.crash()
    postgres.start()

    with postgres.connect() as connection:
        row = connection.execute("SELECT word, '[1,2]'::vector FROM words").fetchone()
        assert row == ("kept", "[1,2]")
        version = connection.info.server_version
        assert version >= 180000


@pytest.mark.postgres
def test_redis_forgets_what_is_flushed(redis_server: Redis):
    with redis_server.connect() as client:
        client.set("word", "gone")
        redis_server.flush()
        assert client.get("word") is None

    redis_server.restart()
    with redis_server.connect() as client:
        assert client.ping()
