"""A deterministic, very cheap model server that stamps every token it writes.

One process, standard library only (uvloop when it is installed). It speaks

  OpenAI   POST /v1/chat/completions   (SSE or JSON, stream_options.include_usage)
           POST /v1/responses          (SSE with the real event names, or JSON)
           POST /v1/embeddings         (float or base64)
           GET  /v1/models
  Ollama   POST /api/chat              (NDJSON or JSON)
           POST /api/embed  POST /api/show  GET /api/tags  GET /api/version
  itself   GET  /__stats__             (streams open/finished/aborted, tokens sent)

How fast and how much it answers is decided, in rising priority, by the environment
(FAKELLM_TTFT_MS, FAKELLM_RATE, FAKELLM_TOKENS), by the model's name and by the query
string (?ttft_ms=&rate=&tokens=&error=&cut=). In a name the settings stand after dashes:

  fake-t200-r50-n300       first token after 200 ms, 50 tokens/s, 300 tokens
  fake-t0-r0-n5000         as fast as the reader takes them
  fake-e429                answers HTTP 429 with the protocol's error body
  fake-n300-x100           drops the connection after 100 tokens

Every token is the text "t<index:6>@<CLOCK_MONOTONIC ns:16> ", stamped when it is handed
to the kernel; the first one of a stream follows "r<ns:16> ", the time at which the
request had been read. A client on the same machine can thus compute what everything
between it and this server added.

Pacing never drifts: token i is due at r + ttft + i/rate. Usage is deterministic (of the
prompt one token per 4 characters of the request, of the completion the tokens sent).

    python -m benchmarks.fakellm --port 9100
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
from time import monotonic_ns
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from benchmarks.faces import FACES, Face, State, dumps
from benchmarks.machine import run_fast

PRESETS = [
    "fake-t200-r50-n300",  # S1 and S2
    "fake-t200-r20-n200",  # S3
    "fake-t0-r0-n5000",  # S4
    "fake-t0-r0-n10",  # warm-up
]
_SETTING = re.compile(r"-([trnex])(\d+)(?=[-:]|$)")
_FIELDS = {"t": "ttft_ms", "r": "rate", "n": "tokens", "e": "error", "x": "cut"}


class Settings(NamedTuple):
    ttft_ms: int  # time from request read to first token
    rate: int  # tokens per second, 0 = unlimited
    tokens: int  # how many tokens
    error: int = 0  # HTTP status to answer with instead
    cut: int = 0  # drop the connection after that many tokens


DEFAULTS = Settings(
    int(os.environ.get("FAKELLM_TTFT_MS", "0")),
    int(os.environ.get("FAKELLM_RATE", "0")),
    int(os.environ.get("FAKELLM_TOKENS", "50")),
)


def settings_for(model: str, query: str) -> Settings:
    found = {_FIELDS[k]: int(v) for k, v in _SETTING.findall(model)}
    for key, value in parse_qsl(query):
        if key in Settings._fields and value.isdigit():
            found[key] = int(value)
    return DEFAULTS._replace(**found)


class Connection(asyncio.Protocol):
    """A minimal keep-alive HTTP/1.1 server connection; one request at a time."""

    def __init__(self, state: State, loop: asyncio.AbstractEventLoop) -> None:
        self.state, self.loop = state, loop
        self.buffer = bytearray()
        self.busy = self.paused = self.streaming = False
        self.timer: asyncio.TimerHandle | None = None
        self.transport: Any = None
        self.face: Face

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer:
            self.timer.cancel()
            self.timer = None
        if self.streaming:
            self.streaming = False
            self.state.open -= 1
            self.state.aborted += 1
        self.transport = None

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self.streaming and self.timer is None:
            self._tick()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.busy:
            self._next_request()

    # Requests

    def _next_request(self) -> None:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = bytes(self.buffer[:end]).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        pairs = (line.partition(":") for line in lines[1:])
        headers = {key.strip().lower(): value.strip() for key, _, value in pairs}
        start = end + 4
        payload: bytes | None
        if "chunked" in headers.get("transfer-encoding", ""):
            payload, start = self._dechunk(start)
            if payload is None:
                return
        else:
            size = int(headers.get("content-length") or 0)
            if len(self.buffer) < start + size:
                return
            payload, start = bytes(self.buffer[start : start + size]), start + size
        del self.buffer[:start]
        self.busy, self.received = True, monotonic_ns()
        self.state.requests += 1
        self._answer(method, target, payload)

    def _answer(self, method: str, target: str, payload: bytes) -> None:
        path, _, query = target.partition("?")
        try:
            body = json.loads(payload) if payload.strip() else {}
        except ValueError:
            error = {"message": "body is not JSON", "type": "invalid_request_error"}
            return self._json({"error": error}, 400)
        if method == "POST" and path in FACES:
            return self._generate(FACES[path], path, query, body)
        answer = self.state.answer(path, body)
        if answer is None:
            error = {"message": f"no such path {path}", "type": "not_found"}
            return self._json({"error": error}, 404)
        return self._json(answer)

    def _dechunk(self, pos: int) -> tuple[bytes | None, int]:
        out = bytearray()
        while True:
            eol = self.buffer.find(b"\r\n", pos)
            if eol < 0:
                return None, pos
            size = int(bytes(self.buffer[pos:eol]).split(b";")[0], 16)
            if len(self.buffer) < eol + 2 + size + 2:
                return None, pos
            out += self.buffer[eol + 2 : eol + 2 + size]
            pos = eol + 2 + size + 2
            if size == 0:
                return bytes(out), pos

    def _json(self, value: Any, status: int = 200) -> None:
        body = dumps(value)
        self.transport.write(
            b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (status, len(body), body)
        )
        self._done()

    def _done(self) -> None:
        self.busy = False
        if self.transport and self.buffer:
            self.loop.call_soon(self._next_request)

    # Generation

    def _generate(
        self, face: type[Face], path: str, query: str, body: dict[str, Any]
    ) -> None:
        model = str(body.get("model", ""))
        self.want = want = settings_for(model, query)
        if want.error:
            message = f"fake error {want.error}"
            detail = {"message": message, "type": "fake_error", "code": str(want.error)}
            is_ollama = path.startswith("/api/")
            return self._json({"error": message if is_ollama else detail}, want.error)
        prompt = len(json.dumps(body.get("messages") or body.get("input") or "")) // 4
        self.face = face(body, model, prompt)
        self.index, self.headed = 0, False
        self.first_due = self.loop.time() + want.ttft_ms / 1000
        if not body.get("stream", path == "/api/chat"):
            paced = want.tokens / want.rate if want.rate else 0
            self.timer = self.loop.call_later(want.ttft_ms / 1000 + paced, self._whole)
            return None
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nCache-Control: no-cache\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" % self.face.content_type
        )
        self.streaming = True
        self.state.open += 1
        self.timer = self.loop.call_at(self.first_due, self._tick)
        return None

    def _text(self, index: int) -> bytes:
        text = b"t%06d@%016d " % (index, monotonic_ns())
        return b"r%016d %b" % (self.received, text) if index == 0 else text

    def _whole(self) -> None:
        self.timer = None
        text = b"".join(self._text(i) for i in range(self.want.tokens)).decode()
        self.state.tokens += self.want.tokens
        self._json(self.face.whole(text, self.want.tokens))

    def _tick(self) -> None:
        """Write every token that is due, one write each, then sleep until the next."""
        self.timer = None
        if self.transport is None or not self.streaming:
            return
        want, write, token = self.want, self.transport.write, self.face.token
        if not self.headed:
            self.headed = True
            head = self.face.head()
            if head:
                write(head)
        now, burst = self.loop.time(), 0
        while self.index < want.tokens:
            if want.cut and self.index >= want.cut:
                self.transport.abort()
                return
            if want.rate:
                due = self.first_due + self.index / want.rate
                if due > now + 0.0002:
                    self.timer = self.loop.call_at(due, self._tick)
                    return
            elif burst >= 32:  # unlimited: let the other streams run
                self.timer = self.loop.call_later(0, self._tick)
                return
            if self.paused:
                return  # resume_writing() calls again
            write(token(self._text(self.index)))
            self.index += 1
            burst += 1
            self.state.tokens += 1
        write(self.face.tail(want.tokens) + b"0\r\n\r\n")
        self.streaming = False
        self.state.open -= 1
        self.state.finished += 1
        self._done()


async def serve(host: str, port: int, models: list[str], max_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    state = State(models)
    server = await loop.create_server(
        lambda: Connection(state, loop), host, port, backlog=1024
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    print(f"fakellm on http://{host}:{port} pid={os.getpid()}", flush=True)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), max_seconds or None)
    server.close()
    print(json.dumps(state.stats()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument(
        "--models",
        default=os.environ.get("FAKELLM_MODELS", ",".join(PRESETS)),
        help="names listed by /v1/models and /api/tags (any name is answered)",
    )
    parser.add_argument(
        "--max-seconds", type=float, default=0, help="stop after so long (0: never)"
    )
    args = parser.parse_args()
    run_fast(serve(args.host, args.port, args.models.split(","), args.max_seconds))


if __name__ == "__main__":
    main()
