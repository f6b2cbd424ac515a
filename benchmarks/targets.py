"""How a client talks to each kind of server, and what it notes while it listens."""

import argparse
import json
import re
import uuid
from array import array
from time import monotonic_ns
from typing import Any, NamedTuple

import aiohttp

TOKEN = re.compile(rb"t(\d{6})@(\d{16}) ")
RECEIVED = re.compile(rb"r(\d{16}) ")


class Account(NamedTuple):
    """A virtual user: a token and conversations nobody has written in yet."""

    token: str = ""
    conversations: tuple[str, ...] = ()
    warmup: str = ""


class Stream:
    """What one client saw; `feed` takes raw bytes in the order of arrival."""

    __slots__ = (
        "count",
        "ended",
        "error",
        "first",
        "last",
        "latencies",
        "messages",
        "sent",
        "tail",
        "upstream_first",
        "upstream_received",
    )

    def __init__(self) -> None:
        self.sent = self.first = self.upstream_received = self.upstream_first = 0
        self.last, self.count, self.messages, self.ended = -1, 0, 0, 0
        self.error: str | None = None
        self.latencies = array("q")
        self.tail = b""

    def feed(self, data: bytes) -> None:
        now = monotonic_ns()
        self.messages += 1
        if self.tail:
            data = self.tail + data
        if not self.first and not self.upstream_received:
            match = RECEIVED.search(data)
            if match:
                self.upstream_received = int(match[1])
        end = 0
        for match in TOKEN.finditer(data):
            end = match.end()
            index = int(match[1])
            if index <= self.last:
                continue  # a repeat, such as the final full text
            stamp = int(match[2])
            if index == 0:
                self.first, self.upstream_first = now, stamp
            self.last = index
            self.count += 1
            self.latencies.append(now - stamp)
        self.tail = data[max(end, len(data) - 48) :]


class Target:
    """One virtual user of one kind of server."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        args: argparse.Namespace,
        account: Account,
        conversation: str,
    ) -> None:
        self.session, self.args = session, args
        self.account, self.conversation = account, conversation

    async def open(self) -> None:
        """Do what a client has done before the user presses Enter."""

    async def run(self, stream: Stream) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        """Leave."""

    @property
    def headers(self) -> dict[str, str]:
        token = self.account.token
        return {"Authorization": f"Bearer {token}"} if token else {}


class HttpTarget(Target):
    path = ""

    def body(self) -> dict[str, Any]:
        raise NotImplementedError

    async def run(self, stream: Stream) -> None:
        url, body = self.args.url + self.path, self.body()
        stream.sent = monotonic_ns()
        async with self.session.post(url, json=body, headers=self.headers) as response:
            if response.status != 200:
                text = await response.text()
                raise RuntimeError(f"HTTP {response.status}: {text[:200]}")
            async for data in response.content.iter_any():
                stream.feed(data)


class OpenAI(HttpTarget):
    """POST {url}/chat/completions: SSE."""

    path = "/chat/completions"

    def body(self) -> dict[str, Any]:
        return {
            "model": self.args.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [{"role": "user", "content": self.args.prompt}],
        }


class Responses(HttpTarget):
    """POST {url}/responses: SSE."""

    path = "/responses"

    def body(self) -> dict[str, Any]:
        return {"model": self.args.model, "stream": True, "input": self.args.prompt}


class Ollama(HttpTarget):
    """POST {url}/api/chat: NDJSON."""

    path = "/api/chat"

    def body(self) -> dict[str, Any]:
        messages = [{"role": "user", "content": self.args.prompt}]
        return {"model": self.args.model, "messages": messages}


class TertuliaSse(HttpTarget):
    """POST {url}/api/v1/chat/stream: our events over SSE."""

    path = "/api/v1/chat/stream"

    def body(self) -> dict[str, Any]:
        return {"conversation_id": self.conversation, "content": self.args.prompt}

    async def run(self, stream: Stream) -> None:
        await super().run(stream)
        if b"[DONE]" not in stream.tail:
            raise RuntimeError("the stream ended without [DONE]")


class TertuliaSocket(Target):
    """WebSocket {url}/ws/: our events as JSON, one socket per person."""

    ENDS = (b'"reply.stopped"', b'"reply.interrupted"', b'"reply.failed"', b'"error"')

    async def open(self) -> None:
        self.ws = await self.session.ws_connect(
            self.args.url + "/ws/",
            headers=self.headers,
            max_msg_size=0,
            compress=15 if self.args.deflate else 0,
        )

    async def run(self, stream: Stream) -> None:
        command = {
            "type": "message.send",
            "conversation_id": self.conversation,
            "content": self.args.prompt,
            "client_id": str(uuid.uuid4()),
        }
        stream.sent = monotonic_ns()
        await self.ws.send_str(json.dumps(command))
        async for message in self.ws:
            if message.type != aiohttp.WSMsgType.TEXT:
                break
            data = message.data.encode()
            stream.feed(data)
            if b'"reply.delta"' in data:
                continue
            if b'"reply.finished"' in data:
                return
            if any(end in data for end in self.ENDS):
                raise RuntimeError(message.data[:200])
        raise RuntimeError(f"closed before the end (code {self.ws.close_code})")

    async def close(self) -> None:
        await self.ws.close()


TARGETS: dict[str, type[Target]] = {
    "openai": OpenAI,
    "responses": Responses,
    "ollama": Ollama,
    "tertulia-ws": TertuliaSocket,
    "tertulia-sse": TertuliaSse,
}
