"""The command that everything starts with, as a real process."""

import asyncio
import contextlib
import json
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from urllib.error import HTTPError

import pytest
import websockets

from config.environment import BASE_DIR
from config.testing import Server, free_port


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def connect(server: Server, token: str, path: str = "/ws/") -> websockets.connect:
    return websockets.connect(
        f"{server.websocket_url}{path}",
        additional_headers={"Authorization": f"Bearer {token}"},
        compression="deflate",
    )


def test_it_goes_from_nothing_to_the_first_answer(tmp_path):
    with Server(tmp_path) as server:
        status, body = get(f"{server.url}/health")

        assert (status, json.loads(body)["status"]) == (200, "ok")
        assert f"Tertulia is at {server.url}" in server.log
        assert get(f"{server.url}/api/v1/characters/luna")[0] == 200


def test_it_offers_a_setup_link_while_there_is_nobody(tmp_path):
    with Server(tmp_path) as server:
        (link,) = re.findall(rf"{server.url}/\S+", server.log)
        assert get(link)[0] == 200

        server.shell(
            "from accounts.models import User;"
            "User.objects.create_superuser('ada@example.org')"
        )
        server.restart()

    assert "Become the one" not in server.log.rpartition("Tertulia is at")[2]


def test_ctrl_c_ends_it_without_a_word(tmp_path):
    with Server(tmp_path) as server:
        before = server.log

        code = server.interrupt()

        assert code == 0
        assert server.log == before


def test_sigterm_ends_it_with_sockets_and_streams_open(server):
    token = server.sign_up()

    async def terminate() -> int:
        async with connect(server, token):
            return await asyncio.to_thread(server.terminate)

    with socket.create_connection(("127.0.0.1", server.port)):
        code = asyncio.run(terminate())

    assert code == 0
    assert "Traceback" not in server.log
    assert "exception" not in server.log


def test_it_listens_again_at_once_after_it_was_killed(server):
    server.kill()

    server.start()

    assert get(f"{server.url}/health")[0] == 200


def test_it_says_in_one_line_that_its_port_is_taken(shared_server):
    done = subprocess.run(
        [sys.executable, "manage.py", "serve"],
        cwd=BASE_DIR,
        env=shared_server.environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert str(shared_server.port) in line
    assert "PORT" in line


def test_two_that_start_together_prepare_one_database(tmp_path, empty_database):
    servers = [Server(tmp_path / name) for name in "ab"]
    for server in servers:
        server.directory.mkdir()
        server.environment["DATABASE_URL"] = empty_database
    starts = [threading.Thread(target=server.start) for server in servers]

    for start in starts:
        start.start()
    for start in starts:
        start.join()

    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.kill)
        listed = [get(f"{server.url}/api/v1/characters")[1] for server in servers]
        assert listed[0] == listed[1]
        slugs = re.findall(r'"slug": ?"(\w+)"', listed[0])
        assert sorted(slugs) == sorted(set(slugs))


def test_a_second_start_migrates_nothing(server):
    begun = time.monotonic()

    server.restart()

    # Generous: the machine of a test may be busy. `make bench` has the figure.
    assert time.monotonic() - begun < 10


def test_it_takes_no_compression_from_sockets(shared_server):
    token = shared_server.sign_up()

    async def extensions() -> str | None:
        async with connect(shared_server, token) as socket:
            return socket.response.headers.get("Sec-WebSocket-Extensions")

    assert asyncio.run(extensions()) is None


def test_a_client_that_reads_slowly_gets_every_byte(shared_server):
    path = "/static/drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js"
    with urllib.request.urlopen(f"{shared_server.url}{path}", timeout=10) as response:
        expected = response.read()
    received = bytearray()
    with socket.socket() as client:
        # Far less than the file: the server cannot send it at once.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", shared_server.port))
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        client.sendall(request.encode())
        time.sleep(0.3)
        while data := client.recv(65536):
            received += data

    head, _, body = bytes(received).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert len(expected) > 500_000
    assert body == expected


def test_an_unknown_socket_is_refused_without_noise(shared_server):
    async def status() -> int:
        try:
            async with connect(shared_server, "", "/ws/nowhere"):
                return 101
        except websockets.InvalidStatus as error:
            return error.response.status_code

    assert asyncio.run(status()) == 403
    assert "nowhere" not in shared_server.log


def test_it_logs_no_requests_and_no_query_strings(shared_server):
    get(f"{shared_server.url}/?q=what-i-told-vera")
    get(f"{shared_server.url}/nowhere?token=s3cr3t")
    get(f"{shared_server.url}/api/v1/nowhere?token=s3cr3t")

    assert "what-i-told-vera" not in shared_server.log
    assert "s3cr3t" not in shared_server.log


def test_it_runs_on_uvloop(shared_server):
    with open(f"/proc/{shared_server.pid}/maps") as maps:
        assert "uvloop" in maps.read()


@pytest.mark.sqlite
def test_its_database_takes_readers_while_it_writes(shared_server):
    path = shared_server.environment["DATABASE_URL"].removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()

    assert mode == "wal"


@pytest.fixture
def empty_database(tmp_path, request) -> str:
    if request.config.option.database == "sqlite":
        return f"sqlite:///{tmp_path / 'both.sqlite3'}"
    postgres = request.getfixturevalue("postgres")
    return postgres.url()


def test_ports_are_not_those_of_outgoing_connections():
    assert all(20_000 <= free_port() < 32_000 for _ in range(20))
