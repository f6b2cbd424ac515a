"""The bytes of the three protocols that models speak: one face for each.

Written after the providers' own documents, independently of the code that is tested.
"""

import json
from typing import Any, ClassVar

PROMPT_TOKENS = 42


class Face:
    """One protocol: how it begins, says a word, thinks, fails and ends."""

    content_type: ClassVar[bytes]

    def __init__(self, model: str) -> None:
        self.model = model
        self.said: list[str] = []
        #: What came with the request: servers repeat it in their errors.
        self.heard = ""

    def head(self) -> bytes:
        return b""

    def token(self, text: str) -> bytes:
        raise NotImplementedError

    def nothing(self) -> bytes:
        """An event that says nothing: a role, a null, a missing list."""
        raise NotImplementedError

    def thought(self, text: str) -> bytes:
        raise NotImplementedError

    def tool_call(self) -> bytes:
        raise NotImplementedError

    def error(self, words: str) -> bytes:
        raise NotImplementedError

    def end(self, reason: str = "stop", *, usage: bool = True) -> bytes:
        raise NotImplementedError

    def line(self, value: object) -> bytes:
        """Frame one value as the protocol frames its events."""
        return b"data: " + _json(value) + b"\n\n"


class Chat(Face):
    content_type = b"text/event-stream; charset=utf-8"

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return self.line(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 1700000000,
                "model": self.model,
                "choices": [choice],
            }
        )

    def head(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def token(self, text: str) -> bytes:
        self.said.append(text)
        return self._chunk({"content": text})

    def nothing(self) -> bytes:
        return (
            self._chunk({"role": "assistant", "content": None})
            + self.line({"id": "chatcmpl-1", "object": "chat.completion.chunk"})
            + self.line({"id": "chatcmpl-1", "choices": []})
            + b": keep-alive\n\n"
        )

    def thought(self, text: str) -> bytes:
        return self._chunk({"content": None, "reasoning_content": text})

    def tool_call(self) -> bytes:
        call = {"name": "delete_everything", "arguments": "{}"}
        return self._chunk({"tool_calls": [{"index": 0, "id": "1", "function": call}]})

    def error(self, words: str) -> bytes:
        return self.line({"error": {"message": words, "type": "server_error"}})

    def end(self, reason: str = "stop", *, usage: bool = True) -> bytes:
        counts = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": len(self.said),
            "total_tokens": PROMPT_TOKENS + len(self.said),
        }
        last = self.line({"id": "chatcmpl-1", "choices": [], "usage": counts})
        return self._chunk({}, reason) + (last if usage else b"") + b"data: [DONE]\n\n"


class Responses(Face):
    content_type = b"text/event-stream; charset=utf-8"

    def line(self, value: Any) -> bytes:
        kind = value.get("type", "") if isinstance(value, dict) else ""
        return b"event: " + kind.encode() + b"\n" + super().line(value)

    def _response(self, status: str, **fields: object) -> dict[str, Any]:
        return {
            "id": "resp_1",
            "object": "response",
            "status": status,
            "model": self.model,
            "output": [],
            **fields,
        }

    def _item(self, kind: str) -> bytes:
        item = {"id": "1", "type": kind, "status": "in_progress"}
        return self.line({"type": "response.output_item.added", "item": item})

    def head(self) -> bytes:
        response = self._response("in_progress")
        return (
            self.line({"type": "response.created", "response": response})
            + self.line({"type": "response.in_progress", "response": response})
            + self._item("message")
        )

    def token(self, text: str) -> bytes:
        self.said.append(text)
        return self.line({"type": "response.output_text.delta", "delta": text})

    def nothing(self) -> bytes:
        return (
            self.line({"type": "response.output_text.delta", "delta": None})
            + self.line({"type": "response.something.new"})
            + self.line({})
            + b": keep-alive\n\n"
        )

    def thought(self, text: str) -> bytes:
        return self._item("reasoning") + self.line(
            {"type": "response.reasoning_text.delta", "delta": text}
        )

    def tool_call(self) -> bytes:
        return self._item("function_call") + self.line(
            {"type": "response.function_call_arguments.delta", "delta": "{}"}
        )

    def error(self, words: str) -> bytes:
        return self.line({"type": "error", "code": "server_error", "message": words})

    def end(self, reason: str = "stop", *, usage: bool = True) -> bytes:
        text = "".join(self.said)
        counts = {
            "input_tokens": PROMPT_TOKENS,
            "output_tokens": len(self.said),
            "total_tokens": PROMPT_TOKENS + len(self.said),
        }
        status = "completed" if reason == "stop" else "incomplete"
        cause = {"length": "max_output_tokens"}.get(reason, reason)
        response = self._response(
            status,
            output=[{"type": "message", "content": [{"text": text}]}],
            incomplete_details=None if reason == "stop" else {"reason": cause},
            usage=counts if usage else None,
        )
        return self.line(
            {"type": "response.output_text.done", "text": text}
        ) + self.line({"type": f"response.{status}", "response": response})


class Ollama(Face):
    content_type = b"application/x-ndjson"

    def line(self, value: object) -> bytes:
        return _json(value) + b"\n"

    def _part(self, message: dict[str, Any], **fields: object) -> bytes:
        return self.line(
            {
                "model": self.model,
                "created_at": "2026-01-01T00:00:00Z",
                "message": {"role": "assistant", **message},
                "done": False,
                **fields,
            }
        )

    def token(self, text: str) -> bytes:
        self.said.append(text)
        return self._part({"content": text})

    def nothing(self) -> bytes:
        return (
            self._part({"content": None})
            + self._part({"content": ""})
            + self.line({"model": self.model, "done": False})
            + b"\n"
        )

    def thought(self, text: str) -> bytes:
        return self._part({"content": "", "thinking": text})

    def tool_call(self) -> bytes:
        call = {"function": {"name": "delete_everything", "arguments": {}}}
        return self._part({"content": "", "tool_calls": [call]})

    def error(self, words: str) -> bytes:
        return self.line({"error": words})

    def end(self, reason: str = "stop", *, usage: bool = True) -> bytes:
        counts = {"prompt_eval_count": PROMPT_TOKENS, "eval_count": len(self.said)}
        return self._part(
            {"content": ""},
            done=True,
            done_reason=reason,
            total_duration=1,
            **(counts if usage else {}),
        )


FACES: dict[str, type[Face]] = {
    "/v1/chat/completions": Chat,
    "/v1/responses": Responses,
    "/api/chat": Ollama,
}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
