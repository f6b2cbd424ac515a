"""Fixtures every test may use; `config/testing/` has the servers behind them."""

import itertools
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.testing import Postgres, Redis, Server
from config.testing.guard import refusing_foreign_connections

pytest_plugins = ["config.testing.browser"]


@pytest.fixture(scope="session", autouse=True)
def _stay_on_this_machine() -> Iterator[None]:
    with refusing_foreign_connections():
        yield


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    yield
    from django.core.cache import cache

    cache.clear()


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of this test's own, to be stopped and restarted."""
    with Postgres() as server:
        yield server


@pytest.fixture
def redis_server() -> Iterator[Redis]:
    """A Redis of this test's own, to be stopped, paused and flushed."""
    with Redis() as server:
        yield server


@pytest.fixture
def make_server(
    tmp_path: Path, migrated: Callable[[], str]
) -> Iterator[Callable[..., Server]]:
    """Make servers, with a migrated and seeded database each, ended after the test.

    `make_server(CHAT_RATE="1/m")` starts one; two with the same DATABASE_URL are two
    processes of one site. `start=False` leaves the start to the test.
    """
    made: list[Server] = []

    def make(start: bool = True, **environment: str) -> Server:
        if "DATABASE_URL" not in environment:
            environment["DATABASE_URL"] = migrated()
        directory = tmp_path / f"server-{len(made)}"
        directory.mkdir()
        server = Server(directory, **environment)
        made.append(server)
        if start:
            server.start()
        return server

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """The product as a real process on the database the suite runs on."""
    return make_server()


@pytest.fixture(scope="module")
def shared_server(
    tmp_path_factory: pytest.TempPathFactory, migrated: Callable[[], str]
) -> Iterator[Server]:
    """A server for all tests of a module that neither stop it nor mind its people."""
    directory = tmp_path_factory.mktemp("shared")
    with Server(directory, DATABASE_URL=migrated()) as server:
        yield server


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Return a function that makes a fresh, migrated and seeded database's URL.

    On PostgreSQL in the cluster of this run, on SQLite a file. Made once by the
    product itself and copied from then on.
    """
    directory = tmp_path_factory.mktemp("databases")
    numbers = itertools.count()
    if "DATABASE_URL" in os.environ:
        return _copies_in_cluster(os.environ["DATABASE_URL"], directory)
    original = directory / "original.sqlite3"
    with Server(directory, DATABASE_URL=f"sqlite:///{original}") as first:
        first.interrupt()

    def copy() -> str:
        path = directory / f"{next(numbers)}.sqlite3"
        shutil.copy(original, path)
        return f"sqlite:///{path}"

    return copy


def _copies_in_cluster(cluster: str, directory: Path) -> Callable[[], str]:
    import psycopg

    base = cluster.rpartition("/")[0]
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    original = f"original_{worker}"
    numbers = itertools.count()

    def execute(statement: str) -> None:
        with psycopg.connect(cluster, autocommit=True) as connection:
            connection.execute(statement)

    execute(f"CREATE DATABASE {original}")
    with Server(directory, DATABASE_URL=f"{base}/{original}") as first:
        first.interrupt()

    def copy() -> str:
        name = f"copy_{worker}_{next(numbers)}"
        execute(f"CREATE DATABASE {name} TEMPLATE {original}")
        return f"{base}/{name}"

    return copy


@pytest.fixture
def unused_address() -> tuple[str, int]:
    """An address of this machine at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
    return host, port
