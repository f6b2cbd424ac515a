"""A model server on loopback that speaks three protocols and misbehaves on demand.

The model's name decides: a fault of `faults.py` (`ok` is one), `http503` for a status,
or `once-http503` for that status once and a good reply afterwards. A `:tag` is
ignored, as Ollama's names have one. Plain sockets and threads, so that segments,
FIN and RST are ours to send.
"""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, Self

from llm.tests.faces import FACES, Face
from llm.tests.faults import FAULTS, Cut, Head, Step, Wait

SECRET_WORDS = "secret words of the provider"

#: An abandoned hang ends by itself, whatever a test forgot.
LONGEST_HANG = 20.0


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class FaultyServer:
    """`pace` seconds pass before each chunk."""

    pace: float = 0.0
    connections: int = 0
    requests: list[Received] = field(default_factory=list)
    #: When clients closed a connection whose answer was not over (monotonic).
    hangups: list[float] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._is_stopped = threading.Event()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def prompts(self) -> list[dict[str, Any]]:
        """The bodies of the requests for a reply."""
        return [r.body for r in self.requests if r.path in FACES]

    def wait_for_hangup(self, seconds: float = 2.0) -> float:
        """Return when a client left an unfinished answer, or raise TimeoutError."""
        _wait_until(lambda: bool(self.hangups), seconds)
        return self.hangups[0]

    def wait_for_prompt(self, seconds: float = 2.0) -> None:
        """Return when a reply has been asked for, or raise TimeoutError."""
        _wait_until(lambda: bool(self.prompts), seconds)

    def _accept(self) -> None:
        while not self._is_stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(connection)
            self.connections += 1
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as reader:
            while request := _read(reader):
                self.requests.append(request)
                if not self._answer(connection, request):
                    break
        self._open.discard(connection)

    def _answer(self, connection: socket.socket, request: Received) -> bool:
        """Play one answer; say whether the connection may be used again."""
        face_class = FACES.get(request.path)
        if face_class is None:
            connection.sendall(_fixed(request.path))
            return True
        model = str(request.body["model"]).partition(":")[0]
        try:
            face = face_class(model)
            face.heard = _repeat(request)
            return self._play(connection, self._steps(model, face))
        except OSError:
            self.hangups.append(monotonic())
            raise

    def _steps(self, model: str, face: Face) -> Iterator[Step]:
        name = model.removeprefix("once-")
        if name != model and len(self.prompts) > 1:
            name = "ok"
        if status := re.fullmatch(r"http(\d+)", name):
            yield Head(int(status[1]), headers=b"Retry-After: 0\r\n")
            words = f"{SECRET_WORDS}: {face.heard}"
            told = {"message": words, "type": "invalid_request_error", "code": words}
            yield json.dumps({"error": told}).encode()
        else:
            yield from FAULTS[name](face)

    def _play(self, connection: socket.socket, steps: Iterator[Step]) -> bool:
        has_head = False
        for step in steps:
            match step:
                case Wait():
                    self._wait(connection, step.seconds)
                case Cut():
                    _cut(connection, with_reset=step.with_reset)
                    return False
                case Head():
                    connection.sendall(_head(step))
                    has_head = True
                case bytes():
                    if not has_head:
                        connection.sendall(_head(Head(content_type=b"text/plain")))
                        has_head = True
                    sleep(self.pace)
                    connection.sendall(b"%x\r\n%b\r\n" % (len(step), step))
        connection.sendall(b"0\r\n\r\n")
        return True

    def _wait(self, connection: socket.socket, seconds: float | None) -> None:
        """Be silent; raise OSError as soon as the client has gone."""
        connection.settimeout(LONGEST_HANG if seconds is None else seconds)
        try:
            if connection.recv(1) == b"":
                raise ConnectionResetError("the client has gone")
        except TimeoutError:
            pass
        finally:
            connection.settimeout(None)


def _wait_until(is_so: Callable[[], bool], seconds: float) -> None:
    end = monotonic() + seconds
    while not is_so():
        if monotonic() > end:
            raise TimeoutError("it did not happen")
        sleep(0.005)


def _repeat(request: Received) -> str:
    """Say again what came, as it came and in capitals: both have been seen."""
    said = [str(value) for value in request.body.values()]
    words = " ".join([request.headers.get("authorization", ""), *said])
    return f"{words} {words.upper()}"


def _read(reader: Any) -> Received | None:
    first = reader.readline().split()
    if not first:
        return None
    headers: dict[str, str] = {}
    while (line := reader.readline().decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
    else:
        body = reader.read(int(headers.get("content-length", 0)))
    return Received(first[1].decode(), headers, json.loads(body or b"{}"))


def _head(head: Head) -> bytes:
    return (
        b"HTTP/1.1 %d Status\r\nContent-Type: %b\r\n%b"
        b"Transfer-Encoding: chunked\r\n\r\n"
        % (head.status, head.content_type, head.headers)
    )


def _fixed(path: str) -> bytes:
    """Answer what is asked besides replies."""
    answers: dict[str, Any] = {
        "/api/version": {"version": "0.12.0"},
        "/api/tags": {"models": [{"model": "ok:latest"}]},
        "/v1/models": {
            "object": "list",
            "data": [
                {"id": "ok", "object": "model", "created": 1, "owned_by": "tests"}
            ],
        },
    }
    status = 200 if path in answers else 404
    body = json.dumps(answers.get(path, {"error": "no such path"})).encode()
    return (
        b"HTTP/1.1 %d Status\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (status, len(body), body)
    )


def _cut(connection: socket.socket, *, with_reset: bool) -> None:
    if with_reset:
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    else:
        connection.shutdown(socket.SHUT_RDWR)
