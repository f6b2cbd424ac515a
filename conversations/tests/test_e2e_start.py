"""Processes that start together make one site, and a site starts again quickly."""

import os
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest

from config.testing import Server
from conversations.tests.clients import timings
from conversations.tests.conftest import SECRETS
from conversations.tests.stored import count, rows


@pytest.fixture
def empty_database():
    cluster = os.environ["DATABASE_URL"]
    name = f"empty_{uuid4().hex}"
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{cluster.rpartition('/')[0]}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.postgres
def test_it_starts_twice_at_once_in_an_empty_database(
    empty_database, make_server, sign_up
):
    servers: list[Server] = [
        make_server(start=False, DATABASE_URL=empty_database, **SECRETS)
        for _ in range(2)
    ]

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda server: server.start(60), servers))

    slugs = rows(servers[0], "SELECT slug FROM characters_character ORDER BY slug")
    assert len(slugs) == len(set(slugs)) >= 3
    names = "SELECT app, name FROM django_migrations"
    assert len(rows(servers[0], names)) == len(set(rows(servers[0], names)))
    alice = sign_up(servers[0])
    for person in (alice, alice.at(servers[1])):
        sent = person.say(person.open_conversation())
        assert person.ended(sent["reply"]["id"])["status"] == "complete"
    assert "Traceback" not in servers[0].log + servers[1].log


def test_it_starts_again_with_what_was_there(serve, sign_up):
    server = serve(words=20)
    alice = sign_up(server)
    sent = alice.say(alice.open_conversation())
    reply = alice.ended(sent["reply"]["id"])
    characters = count(server, "characters_character")

    seconds = server.restart()

    timings.info("started again in %.2f s", seconds)
    assert alice.message(reply["id"]) == reply
    assert count(server, "characters_character") == characters
