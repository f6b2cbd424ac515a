"""Small real clients: REST and event streams through httpx, the JSON socket through
websockets. They insist on what the API promises: numbers that only rise."""

import json
import logging
import socket
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from config.testing import Server

Event = dict[str, Any]

#: Says how long what is promised took; shown by `--log-cli-level=INFO`.
timings = logging.getLogger("timings")

#: Seconds that anything may take on a machine that has other things to do.
PATIENCE = 30.0
PASSWORD = "a tertulia at the corner"

_ENDS = {"reply.finished", "reply.stopped", "reply.interrupted", "reply.failed"}


def wait_for(is_so: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Return what `is_so` returns as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (result := is_so()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return result


class Heard:
    """What a follower was told of one reply."""

    def __init__(self, seq: int = 0, text: str = "") -> None:
        self.seq, self.text = seq, text
        self.end: Event | None = None
        self.conversation_id = self.message_id = ""

    def take(self, event: Event) -> None:
        if event["type"] == "message.updated":
            # All that is left of it: what was numbered higher is lost.
            self.seq, self.text = 0, event["message"]["content"]
            return
        assert event["seq"] > self.seq, f"event {event['seq']} came after {self.seq}"
        assert self.end is None, f"{event} came after the end"
        self.seq, self.message_id = event["seq"], event["message_id"]
        if event["type"] == "reply.delta":
            self.text += event["text"]
        elif event["type"] in _ENDS:
            self.end = event

    def take_all(self, events: Iterator[Event]) -> Self:
        for event in events:
            self.take(event)
            if self.end:
                break
        return self

    def take_until(self, length: int, events: Iterator[Event]) -> Self:
        """Stop listening when `length` characters were heard."""
        while len(self.text) < length:
            self.take(next(events))
        return self

    @property
    def ending(self) -> str:
        return self.end["type"].removeprefix("reply.") if self.end else "(none)"


class Person:
    """Somebody with an account, through one of the site's servers."""

    def __init__(self, server: Server, token: str, refresh_token: str = "") -> None:
        self.server, self.token, self.refresh_token = server, token, refresh_token
        self._elsewhere: list[Person] = []
        self.http = httpx.Client(
            base_url=f"{server.url}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=PATIENCE,
            trust_env=False,
        )

    @classmethod
    def sign_up(cls, server: Server, email: str = "alice@example.com") -> "Person":
        account = {"email": email, "password": PASSWORD}
        with httpx.Client(
            base_url=f"{server.url}/api/v1", timeout=PATIENCE, trust_env=False
        ) as http:
            _checked(http.post("/auth/register", json=account))
            tokens = _checked(http.post("/auth/login", json=account)).json()
        return cls(server, tokens["access_token"], tokens["refresh_token"])

    def at(self, server: Server) -> "Person":
        """The same person, with the same tokens, at another server."""
        self._elsewhere.append(Person(server, self.token, self.refresh_token))
        return self._elsewhere[-1]

    def close(self) -> None:
        for person in self._elsewhere:
            person.close()
        self.http.close()

    def get(self, path: str) -> Any:
        return _checked(self.http.get(path)).json()

    def post(self, path: str, **body: Any) -> Any:
        answer = _checked(self.http.post(path, json=body))
        return answer.json() if answer.content else None

    def open_conversation(self) -> str:
        return str(self.post("/conversations", character="assistant")["id"])

    def say(self, conversation: str, content: str = "Tell me.", **fields: Any) -> Any:
        """Send a message over REST; return `{"message", "reply"}`."""
        path = f"/conversations/{conversation}/messages"
        return self.post(path, content=content, **fields)

    def message(self, pk: str) -> Any:
        return self.get(f"/messages/{pk}")

    def ended(self, pk: str, seconds: float = PATIENCE) -> Any:
        """Wait until the reply is not being written any more, and return it."""

        def found() -> Any:
            with suppress(httpx.HTTPError):
                reply = self.message(pk)
                return reply if reply["status"] != "streaming" else None

        return wait_for(found, seconds)

    def socket(self) -> "Socket":
        return Socket(self.server, self.token)

    @contextmanager
    def chat(self, conversation: str, content: str = "Tell me.", **fields: Any):
        """Send a message over SSE and yield the `Stream` of its events."""
        body = {"conversation_id": conversation, "content": content, **fields}
        with self.http.stream("POST", "/chat/stream", json=body) as answer:
            yield Stream(_checked(answer))

    @contextmanager
    def follow(self, pk: str, after: int = 0, *, by_header: bool = False):
        """Follow a reply over SSE, as a browser's EventSource or with `?after=`."""
        given = (
            {"headers": {"Last-Event-ID": str(after)}}
            if by_header
            else {"params": {"after": after}}
        )
        with self.http.stream("GET", f"/messages/{pk}/stream", **given) as answer:
            yield Stream(_checked(answer))


class Stream:
    """The events of one SSE answer."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.is_done = False
        self.events = self._events()

    def _events(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        for line in self.answer.iter_lines():
            if line:
                name, _colon, value = line.partition(": ")
                fields[name] = value
                continue
            data = fields.get("data")
            if data == "[DONE]":
                self.is_done = True
            elif data is not None:
                event = json.loads(data)
                assert event["type"] == fields["event"]
                assert str(event.get("seq", "")) == fields.get("id", "")
                yield event
            fields = {}

    def drop(self, *, with_reset: bool = False) -> None:
        """Go away without a word."""
        stream = self.answer.extensions["network_stream"]
        _drop(stream.get_extra_info("socket"), with_reset)


class Socket:
    """A client of `/ws/`."""

    connection: ClientConnection

    def __init__(self, server: Server, token: str) -> None:
        self._opened = _connect(server, "/ws/", {"Authorization": f"Bearer {token}"})

    def __enter__(self) -> Self:
        self.connection = self._opened.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.connection.close()

    def command(self, kind: str, **fields: Any) -> None:
        self.connection.send(json.dumps({"type": kind, **fields}))

    def next(self, timeout: float = PATIENCE) -> Event:
        return json.loads(self.connection.recv(timeout))

    def expect(self, kind: str) -> Event:
        """Return the next event of a type, passing over others."""
        while (event := self.next())["type"] != kind:
            assert event["type"] != "error", event
        return event

    def say(
        self, conversation: str, content: str = "Tell me.", client_id: str = ""
    ) -> Event:
        """Send a message and return its acknowledgement."""
        self.command(
            "message.send",
            conversation_id=conversation,
            content=content,
            client_id=client_id or str(uuid.uuid4()),
        )
        return self.expect("message.created")

    def replies(self, message_id: str = "") -> Iterator[Event]:
        """Yield the events of replies, or of one of them."""
        while True:
            event = self.next()
            assert event["type"] != "error", event
            of = event.get("message_id") or event.get("message", {}).get("id")
            is_step = event["type"].startswith(("reply.", "message.updated"))
            if is_step and message_id in ("", of):
                yield event

    def follow(self, message_id: str, after: int = 0) -> Iterator[Event]:
        self.command("follow", message_id=message_id, after=after)
        return self.replies(message_id)

    def drop(self, *, with_reset: bool = False) -> None:
        """Go away without a closing frame."""
        _drop(self.connection.socket, with_reset)

    def wait_for_close(self, seconds: float = PATIENCE) -> int | None:
        """Return the code with which the server closes, or raise TimeoutError."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self.connection.recv(max(0.01, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


class PageSocket(Socket):
    """A browser at `/ws/pages/`."""

    def __init__(self, server: Server, session_key: str) -> None:
        headers = {"Cookie": f"session={session_key}", "Origin": server.url}
        self._opened = _connect(server, "/ws/pages/", headers)


def _connect(server: Server, path: str, headers: dict[str, str]) -> ClientConnection:
    return connect(
        f"{server.websocket_url}{path}",
        additional_headers=headers,
        compression=None,
        max_size=None,
        open_timeout=PATIENCE,
        close_timeout=5,
        proxy=None,
    )


def _drop(connection: socket.socket, with_reset: bool) -> None:
    if with_reset:
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        # Wakes whoever reads it here, without telling the other side.
        connection.shutdown(socket.SHUT_RD)
        connection.close()
    else:
        connection.shutdown(socket.SHUT_RDWR)


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        answer.read()
        raise httpx.HTTPStatusError(
            f"{answer.status_code} {answer.text}",
            request=answer.request,
            response=answer,
        )
    return answer
