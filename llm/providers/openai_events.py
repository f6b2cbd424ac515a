"""Read the events of OpenAI's two streaming APIs."""

from typing import Any

from llm.errors import ProviderError
from llm.providers.decoding import EventStream, is_count
from llm.providers.failures import codes_in
from llm.types import FinishReason, Usage

#: Reasons we know by another name; what is not here is an ordinary stop.
FINISH_REASONS: dict[object, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}

#: What an error object inside a stream means, by its `code` or `type`.
ERROR_CODES = {
    "rate_limit_exceeded": "provider_busy",
    "rate_limit_error": "provider_busy",
    "insufficient_quota": "provider_busy",
    "authentication_error": "provider_auth",
    "invalid_api_key": "provider_auth",
    "invalid_prompt": "provider_rejected",
    "invalid_request_error": "provider_rejected",
    "context_length_exceeded": "provider_rejected",
}


class ChatDecoder(EventStream):
    """Reads the chunks of chat completions."""

    def event(self, event: dict[str, Any]) -> None:
        if error := event.get("error"):
            raise _failure(error)
        if usage := event.get("usage"):
            self.usage = _usage(usage, "prompt_tokens", "completion_tokens")
        choices = event.get("choices")
        if not choices:
            return
        choice = choices[0]
        if delta := choice.get("delta"):
            self._hear(delta)
        if reason := choice.get("finish_reason"):
            self.finish_reason = FINISH_REASONS.get(reason, "stop")

    def _hear(self, delta: dict[str, Any]) -> None:
        self.hear(delta.get("content"))
        self.hear(delta.get("refusal"))
        # Two names for the same thing, both of servers that imitate OpenAI's.
        if delta.get("reasoning_content") or delta.get("reasoning"):
            self.is_alive = True
        if delta.get("tool_calls") or delta.get("function_call"):
            self.refuse_tool_call()


class ResponsesDecoder(EventStream):
    """Reads the events of the Responses API."""

    def event(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "response.output_text.delta" | "response.refusal.delta":
                self.hear(event.get("delta"))
            case "response.completed" | "response.incomplete":
                self._finish(event["response"])
            case "response.failed":
                raise _failure(event["response"].get("error"))
            case "error":
                raise _failure(event.get("error") or event)
            case "response.output_item.added":
                if event["item"].get("type", "").endswith("_call"):
                    self.refuse_tool_call()
            case str(kind) if kind.startswith("response.reasoning"):
                self.is_alive = True
            case None if event.get("error"):
                raise _failure(event["error"])

    def _finish(self, response: dict[str, Any]) -> None:
        details = response.get("incomplete_details") or {}
        self.finish_reason = FINISH_REASONS.get(details.get("reason"), "stop")
        self.is_done = True
        if usage := response.get("usage"):
            self.usage = _usage(usage, "input_tokens", "output_tokens")


def _failure(error: Any) -> ProviderError:
    """Return what an error object that came inside a stream means."""
    told: dict[str, Any] = error if isinstance(error, dict) else {}
    code = ERROR_CODES.get(str(told.get("code")))
    code = code or ERROR_CODES.get(str(told.get("type")), "provider_unavailable")
    return ProviderError(
        code,
        " ".join(["an error in the answer", *codes_in(told)]),
        is_retryable=code in ("provider_unavailable", "provider_busy"),
    )


def _usage(given: dict[str, Any], prompt: str, completion: str) -> Usage | None:
    asked, written = given.get(prompt), given.get(completion)
    if is_count(asked) and is_count(written):
        return Usage(asked, written, exact=True)
    return None
