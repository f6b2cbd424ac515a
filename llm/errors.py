"""What can go wrong between us and a model, in words for a person.

`cause` is for the log: codes and kinds of failures, nothing of what the provider said
in words, which may be its key or what somebody wrote.
"""

from django.utils.translation import gettext_lazy as _

#: code → the sentence a person reads.
SENTENCES = {
    "provider_unavailable": _(
        "The model cannot be reached. Try again, or tell the operator."
    ),
    "provider_timeout": _("The model took too long to answer. Try again."),
    "provider_auth": _("The model refused our key. The operator has to renew it."),
    "provider_busy": _("The model is busy. Try again in a moment."),
    "provider_rejected": _(
        "The model refused this request. Try a shorter or different message."
    ),
    "provider_bad_response": _(
        "The model's answer could not be understood. Try again, or tell the operator."
    ),
}


class ProviderError(Exception):
    """A model that could not answer, or stopped in the middle."""

    def __init__(
        self,
        code: str,
        cause: str = "",
        *,
        is_retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        assert code in SENTENCES, code
        self.code = code
        self.cause = cause
        self.is_retryable = is_retryable
        self.retry_after = retry_after
        super().__init__(f"{code}: {cause}")

    @property
    def detail(self) -> str:
        return str(SENTENCES[self.code])
