"""The bytes each model server's protocol wraps around a token.

A face turns a sequence of tokens into one protocol: `head` before the first token,
`token` for each, `tail` after the last, `whole` when the client does not stream. It
does not know when anything is written.
"""

import base64
import hashlib
import json
import os
import struct
from time import monotonic_ns
from typing import Any, Protocol

EMBED_DIM = int(os.environ.get("FAKELLM_EMBED_DIM", "384"))

EVENT_STREAM = b"text/event-stream; charset=utf-8"


def frame(body: bytes) -> bytes:
    """Return one HTTP/1.1 chunk."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class Face(Protocol):
    content_type: bytes

    def __init__(
        self, body: dict[str, Any], model: str, prompt_tokens: int
    ) -> None: ...

    def head(self) -> bytes: ...

    def token(self, text: bytes) -> bytes: ...

    def tail(self, n: int) -> bytes: ...

    def whole(self, text: str, n: int) -> dict[str, Any]: ...


class ChatFace:
    """OpenAI's chat completions."""

    content_type = EVENT_STREAM

    def __init__(self, body: dict[str, Any], model: str, prompt_tokens: int) -> None:
        self.model, self.prompt = model, prompt_tokens
        options = body.get("stream_options") or {}
        self.usage_wanted = bool(options.get("include_usage"))
        self._base = (
            b'data: {"id":"chatcmpl-fake","object":"chat.completion.chunk",'
            b'"created":1700000000,"model":%b,' % dumps(model)
        )
        mark = b"\0"
        chunk = (
            self._base
            + b'"choices":[{"index":0,"delta":{"content":"'
            + mark
            + b'"},"logprobs":null,"finish_reason":null}]}\n\n'
        )
        self._pre, self._post = chunk.split(mark)
        self._fixed = len(self._pre) + len(self._post)

    def head(self) -> bytes:
        return frame(
            self._base
            + b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},'
            b'"logprobs":null,"finish_reason":null}]}\n\n'
        )

    def token(self, text: bytes) -> bytes:
        size = self._fixed + len(text)
        return b"%x\r\n%b%b%b\r\n" % (size, self._pre, text, self._post)

    def usage(self, n: int) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": n,
            "total_tokens": self.prompt + n,
        }

    def tail(self, n: int) -> bytes:
        out = frame(
            self._base + b'"choices":[{"index":0,"delta":{},"logprobs":null,'
            b'"finish_reason":"stop"}]}\n\n'
        )
        if self.usage_wanted:
            usage = dumps(self.usage(n))
            out += frame(self._base + b'"choices":[],"usage":%b}\n\n' % usage)
        return out + frame(b"data: [DONE]\n\n")

    def whole(self, text: str, n: int) -> dict[str, Any]:
        return {
            "id": "chatcmpl-fake",
            "object": "chat.completion",
            "created": 1700000000,
            "model": self.model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": self.usage(n),
        }


class ResponsesFace:
    """OpenAI's Responses API."""

    content_type = EVENT_STREAM

    def __init__(self, body: dict[str, Any], model: str, prompt_tokens: int) -> None:
        self.model, self.prompt, self.seq = model, prompt_tokens, 0
        self.text: list[bytes] = []

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = dumps({"type": kind, "sequence_number": self.seq, **fields})
        self.seq += 1
        return frame(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))

    def _response(
        self, status: str, output: list[Any], usage: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        return {
            "id": "resp_fake",
            "object": "response",
            "created_at": 1700000000,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": self.model,
            "output": output,
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": usage,
        }

    def _item(self, text: str | None) -> dict[str, Any]:
        part: Any = {"type": "output_text", "text": text, "annotations": []}
        return {
            "id": "msg_fake",
            "type": "message",
            "role": "assistant",
            "content": [] if text is None else [part],
            "status": "in_progress" if text is None else "completed",
        }

    def head(self) -> bytes:
        part: Any = {"type": "output_text", "text": "", "annotations": []}
        response = self._response("in_progress", [])
        at = {"output_index": 0}
        return (
            self._event("response.created", response=response)
            + self._event("response.in_progress", response=response)
            + self._event("response.output_item.added", item=self._item(None), **at)
            + self._event(
                "response.content_part.added",
                item_id="msg_fake",
                content_index=0,
                part=part,
                **at,
            )
        )

    def token(self, text: bytes) -> bytes:
        self.text.append(text)
        body = (
            b"event: response.output_text.delta\n"
            b'data: {"type":"response.output_text.delta","sequence_number":%d,'
            b'"item_id":"msg_fake","output_index":0,"content_index":0,'
            b'"delta":"%b","logprobs":[]}\n\n' % (self.seq, text)
        )
        self.seq += 1
        return frame(body)

    def usage(self, n: int) -> dict[str, Any]:
        return {
            "input_tokens": self.prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": n,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.prompt + n,
        }

    def tail(self, n: int) -> bytes:
        text = b"".join(self.text).decode()
        at = {"item_id": "msg_fake", "output_index": 0, "content_index": 0}
        item = self._item(text)
        response = self._response("completed", [item], self.usage(n))
        return (
            self._event("response.output_text.done", text=text, logprobs=[], **at)
            + self._event("response.content_part.done", part=item["content"][0], **at)
            + self._event("response.output_item.done", output_index=0, item=item)
            + self._event("response.completed", response=response)
        )

    def whole(self, text: str, n: int) -> dict[str, Any]:
        return self._response("completed", [self._item(text)], self.usage(n))


class OllamaFace:
    """Ollama's chat."""

    content_type = b"application/x-ndjson"

    def __init__(self, body: dict[str, Any], model: str, prompt_tokens: int) -> None:
        self.prompt, self.started = prompt_tokens, monotonic_ns()
        created = b'"created_at":"2026-01-01T00:00:00.000000Z"'
        self._base = b'{"model":%b,%b,' % (dumps(model), created)
        self._pre = self._base + b'"message":{"role":"assistant","content":"'
        self._post = b'"},"done":false}\n'
        self._fixed = len(self._pre) + len(self._post)

    def head(self) -> bytes:
        return b""

    def token(self, text: bytes) -> bytes:
        size = self._fixed + len(text)
        return b"%x\r\n%b%b%b\r\n" % (size, self._pre, text, self._post)

    def _last(self, text: str, n: int) -> bytes:
        total = monotonic_ns() - self.started
        return (
            self._base + b'"message":{"role":"assistant","content":%b},"done":true,'
            b'"done_reason":"stop","total_duration":%d,"load_duration":0,'
            b'"prompt_eval_count":%d,"prompt_eval_duration":0,'
            b'"eval_count":%d,"eval_duration":%d}\n'
            % (dumps(text), total, self.prompt, n, total)
        )

    def tail(self, n: int) -> bytes:
        return frame(self._last("", n))

    def whole(self, text: str, n: int) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._last(text, n))
        return value


FACES: dict[str, type[Face]] = {
    "/v1/chat/completions": ChatFace,
    "/v1/responses": ResponsesFace,
    "/api/chat": OllamaFace,
}


class State:
    """What /__stats__ shows, and the answers that are always the same."""

    def __init__(self, models: list[str]) -> None:
        self.models = models
        self.open = self.finished = self.aborted = self.tokens = self.requests = 0

    def stats(self) -> dict[str, int]:
        return {
            "open": self.open,
            "finished": self.finished,
            "aborted": self.aborted,
            "tokens": self.tokens,
            "requests": self.requests,
        }

    def answer(self, path: str, body: dict[str, Any]) -> Any:
        """Return what is at `path`, or None where nothing is."""
        match path:
            case "/__stats__":
                return self.stats()
            case "/v1/models":
                return {"object": "list", "data": list(map(_openai_model, self.models))}
            case "/v1/embeddings":
                return _openai_embeddings(body)
            case "/api/version":
                return {"version": "0.12.0"}
            case "/api/tags":
                return {"models": list(map(_ollama_tag, self.models))}
            case "/api/ps":
                return {"models": []}
            case "/api/embed":
                return _ollama_embeddings(body)
            case "/api/show":
                return _ollama_model()
            case "/":
                return "Ollama is running"
        return None


def vector(text: str) -> list[float]:
    """Return a deterministic, roughly unit-length vector for `text`."""
    raw = hashlib.shake_128(str(text).encode()).digest(EMBED_DIM)
    return [(b - 127.5) / 127.5 / EMBED_DIM**0.5 for b in raw]


def _inputs(body: dict[str, Any]) -> list[Any]:
    inputs = body.get("input", "")
    return inputs if isinstance(inputs, list) else [inputs]


def _openai_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1700000000, "owned_by": "fake"}


def _openai_embeddings(body: dict[str, Any]) -> dict[str, Any]:
    inputs = _inputs(body)
    data = []
    for i, text in enumerate(inputs):
        value: Any = vector(text)
        if body.get("encoding_format") == "base64":
            packed = struct.pack(f"<{len(value)}f", *value)
            value = base64.b64encode(packed).decode()
        data.append({"object": "embedding", "index": i, "embedding": value})
    used = sum(len(str(text)) // 4 + 1 for text in inputs)
    return {
        "object": "list",
        "data": data,
        "model": body.get("model", ""),
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def _ollama_tag(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-01-01T00:00:00Z",
        "size": 1,
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": "fake",
            "families": ["fake"],
            "parameter_size": "1B",
            "quantization_level": "Q4_0",
        },
    }


def _ollama_embeddings(body: dict[str, Any]) -> dict[str, Any]:
    inputs = _inputs(body)
    return {
        "model": body.get("model", ""),
        "embeddings": [vector(text) for text in inputs],
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": len(inputs),
    }


def _ollama_model() -> dict[str, Any]:
    return {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": _ollama_tag("x")["details"],
        "model_info": {"general.architecture": "fake", "fake.context_length": 8192},
        "capabilities": ["completion", "tools"],
    }
