"""What a model server repeats of a prompt does not come into the log."""

import json

from conversations.discretion import without_quotes

SAID = 'I have never told anybody:\nthe key is under the "third" pot, señora.'


def test_it_leaves_out_what_was_said():
    for error in (
        f"HTTP 400: cannot read {SAID}",
        "HTTP 400: " + json.dumps({"input": SAID}),
        "HTTP 400: " + json.dumps({"input": SAID}, ensure_ascii=False),
        f"HTTP 400: cannot read {SAID[20:50]}",
    ):
        shown = without_quotes(error, SAID)
        assert shown.startswith("HTTP 400: ")
        assert "third" not in shown
        assert "told" not in shown


def test_it_keeps_everything_else():
    error = "HTTP 404: model 'llama' not found, try pulling it first"

    assert without_quotes(error, SAID) == error
    assert without_quotes(error, "") == error
    assert without_quotes("", SAID) == ""
