"""What is too large, against a real server: answered before it is sent, not kept."""

import json
import socket
from http.client import HTTPConnection
from pathlib import Path
from time import sleep

import pytest

from config.testing import Server
from config.testing.server import PASSWORD
from config.tests.operations import Operation, operations

MEGABYTE = 1024 * 1024
LOGIN = "/api/v1/auth/login"
JSON = "application/json"


@pytest.fixture
def connection(shared_server: Server):
    connection = HTTPConnection("127.0.0.1", shared_server.port, timeout=10)
    yield connection
    connection.close()


def pieces(count: int):
    yield b'{"email": "'
    for _ in range(count):
        yield b"x" * MEGABYTE
    yield b'"}'


def send_slowly(client: socket.socket, times: int) -> None:
    for _ in range(times):
        client.sendall(b"x" * 1000)
        sleep(0.05)


def assert_too_large(answer):
    assert answer.status == 413
    told = json.load(answer)
    assert told["code"] == "too_large"
    assert told["detail"].endswith(".")


def resident(server: Server) -> int:
    """Return the memory of a server's process in bytes, as the kernel counts it."""
    pages = Path(f"/proc/{server.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"])
@pytest.mark.parametrize("operation", [o for o in operations() if o.content], ids=str)
def test_a_declared_length_is_enough_to_be_refused(
    shared_server: Server, operation: Operation, expect: str
):
    with socket.create_connection(("127.0.0.1", shared_server.port), 30) as client:
        client.sendall(
            f"{operation.method} {operation.address('x')} HTTP/1.1\r\n"
            f"Host: 127.0.0.1\r\n{expect}"
            f"Content-Type: {operation.content_type}\r\n"
            f"Content-Length: {50 * MEGABYTE}\r\n\r\n".encode()
        )
        # Of the body nothing was sent: whoever waited for it would wait for ever.
        answer = client.recv(65536)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"too_large"' in answer
    assert b"100 Continue" not in answer


@pytest.mark.parametrize("chunked", [False, True])
def test_whoever_sends_it_all_is_told_why(
    connection: HTTPConnection, shared_server: Server, chunked: bool
):
    before = resident(shared_server)
    headers = {"Content-Type": JSON}
    if not chunked:
        headers["Content-Length"] = str(len(b"".join(pieces(50))))

    connection.request("POST", LOGIN, pieces(50), headers, encode_chunked=chunked)
    answer = connection.getresponse()

    assert_too_large(answer)
    assert resident(shared_server) - before < 10 * MEGABYTE


@pytest.mark.parametrize("chunked", [False, True])
def test_json_has_a_lower_limit_than_files(connection: HTTPConnection, chunked: bool):
    headers = {"Content-Type": JSON}
    if not chunked:
        headers["Content-Length"] = str(len(b"".join(pieces(3))))
    connection.request("POST", LOGIN, pieces(3), headers, encode_chunked=chunked)

    assert_too_large(connection.getresponse())


def test_a_page_is_refused_with_a_page(connection: HTTPConnection):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/accounts/login/", b"x" * 3 * MEGABYTE, headers)
    answer = connection.getresponse()

    assert answer.status == 413
    assert b"larger than this site takes" in answer.read()


def test_the_connection_of_a_smaller_body_goes_on(connection: HTTPConnection):
    body = {"email": "alice@example.org", "password": PASSWORD}
    for path, status in (("register", 201), ("login", 200), ("login", 200)):
        # In chunks, whose length nobody says beforehand.
        connection.request(
            "POST",
            f"/api/v1/auth/{path}",
            iter([json.dumps(body).encode()]),
            {"Content-Type": JSON},
            encode_chunked=True,
        )
        answer = connection.getresponse()
        assert answer.status == status, answer.read()
        answer.read()


def test_a_client_that_sends_on_for_ever_is_cut_off(
    shared_server: Server,
):
    with socket.create_connection(("127.0.0.1", shared_server.port), 20) as client:
        client.sendall(
            f"POST {LOGIN} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {JSON}\r\n"
            f"Content-Length: {10**12}\r\n\r\n".encode()
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
        # Of the terabyte it announced the server listens to no more than these bytes.
        with pytest.raises(ConnectionError):
            send_slowly(client, 1000)
