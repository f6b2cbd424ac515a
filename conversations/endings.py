"""How a reply ends: the one place that decides it, the sentence that says it, and how
many did."""

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from database import metrics
from llm.errors import SENTENCES as PROVIDER_SENTENCES
from llm.errors import ProviderError

#: code → what a person reads under a reply that did not complete.
SENTENCES = {
    **PROVIDER_SENTENCES,
    "stopped": _("You stopped this reply."),
    "interrupted": _(
        "The server stopped while this was being written. Every word that was saved "
        "is here; continue from where it broke off."
    ),
    "blocked_content": _("This reply was stopped because it is not allowed here."),
    "server_error": _("Something broke on our side; it has been logged. Try again."),
}


_ended = metrics.counter(
    "tertulia_replies_ended",
    "Replies by how they ended: model, status, and the code of what did not complete.",
    *("model", "status", "code"),
)
_first_token = metrics.histogram(
    "tertulia_reply_first_token_seconds",
    "Seconds from the beginning of a reply to its first word.",
    "model",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
_duration = metrics.histogram(
    "tertulia_reply_duration_seconds",
    "Seconds from the beginning of a reply to its end.",
    "model",
    buckets=(0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)


def sentence(code: str) -> str:
    return str(SENTENCES.get(code, "")) if code else ""


@dataclass(frozen=True, slots=True)
class Ending:
    """A reply's last status, with a code where it did not complete."""

    status: str
    finish_reason: str = ""
    code: str = ""


class Stopped(Exception):
    """The person asked to stop."""


class Interrupted(Exception):
    """This process cannot go on writing."""


class Blocked(Exception):
    """The reply says what is not allowed here."""


def decide(
    *, has_text: bool, finish_reason: str | None, error: BaseException | None
) -> Ending:
    """Say how a reply ended from what was written and what went wrong, if anything.

    A provider that just stops without a finish reason has raised by now; text that
    is there is kept in every case.
    """
    match error:
        case None if finish_reason == "content_filter":
            return Ending("failed", finish_reason, "blocked_content")
        case None if has_text and finish_reason:
            return Ending("complete", finish_reason)
        case None:
            cut = "interrupted" if has_text else "failed"
            return Ending(cut, "", "provider_bad_response")
        case Stopped():
            return Ending("stopped", "stop", "stopped")
        case Interrupted():
            return Ending("interrupted", "", "interrupted")
        case Blocked():
            return Ending("failed", "content_filter", "blocked_content")
        case ProviderError():
            return Ending("interrupted" if has_text else "failed", "", error.code)
        case _:
            return Ending("interrupted" if has_text else "failed", "", "server_error")


@metrics.harmless
def note(
    ending: Ending,
    model: str,
    first_token_ms: int | None = None,
    duration_ms: int | None = None,
) -> None:
    """Count a reply that has ended; times of its last run, where they are known."""
    _ended.labels(model, ending.status, ending.code).inc()
    if first_token_ms is not None:
        _first_token.labels(model).observe(first_token_ms / 1000)
    if duration_ms is not None:
        _duration.labels(model).observe(duration_ms / 1000)
