import pytest

from conversations.endings import (
    SENTENCES,
    Blocked,
    Ending,
    Interrupted,
    Stopped,
    decide,
    sentence,
)
from llm.errors import SENTENCES as PROVIDER_SENTENCES
from llm.errors import ProviderError


@pytest.mark.parametrize(
    ("has_text", "finish_reason", "error", "ending"),
    [
        (True, "stop", None, Ending("complete", "stop")),
        (True, "length", None, Ending("complete", "length")),
        (True, None, None, Ending("interrupted", "", "provider_bad_response")),
        (False, "stop", None, Ending("failed", "", "provider_bad_response")),
        (False, "length", None, Ending("failed", "", "provider_bad_response")),
        (False, None, None, Ending("failed", "", "provider_bad_response")),
        *(
            (
                has_text,
                "content_filter",
                None,
                Ending("failed", "content_filter", "blocked_content"),
            )
            for has_text in (True, False)
        ),
        *(
            (has_text, None, error, ending)
            for has_text in (True, False)
            for error, ending in (
                (Stopped(), Ending("stopped", "stop", "stopped")),
                (Interrupted(), Ending("interrupted", "", "interrupted")),
                (Blocked(), Ending("failed", "content_filter", "blocked_content")),
            )
        ),
        *(
            (has_text, None, ProviderError(code), Ending(status, "", code))
            for has_text, status in ((True, "interrupted"), (False, "failed"))
            for code in PROVIDER_SENTENCES
        ),
        (True, "stop", ValueError("x"), Ending("interrupted", "", "server_error")),
        (False, None, ValueError("x"), Ending("failed", "", "server_error")),
    ],
)
def test_it_decides(has_text, finish_reason, error, ending):
    decided = decide(has_text=has_text, finish_reason=finish_reason, error=error)

    assert decided == ending


def test_it_never_calls_a_reply_complete_that_broke_off():
    for error in (Stopped(), Interrupted(), Blocked(), ProviderError("provider_busy")):
        for finish_reason in ("stop", "length", None):
            ending = decide(has_text=True, finish_reason=finish_reason, error=error)
            assert ending.status != "complete"
            assert sentence(ending.code)


def test_it_has_a_sentence_for_every_code_of_a_provider():
    assert set(PROVIDER_SENTENCES) <= set(SENTENCES)
    assert sentence("") == sentence("unheard_of") == ""
