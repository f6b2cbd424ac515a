"""What may stand in a log line."""

import io
import logging

import pytest
import structlog
from django.test import RequestFactory

from config import logs

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture
def lines():
    """A logger in our format, and a function that returns the lines it wrote."""
    out = io.StringIO()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=logs._SHARED, processors=logs.PROCESSORS
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    logger = logging.Logger("tertulia.test")
    logger.addHandler(handler)
    return logger, lambda: out.getvalue().removesuffix("\n").split("\n")


HOSTILE = (
    "first\r\nlevel=error second\x1b[31m\x07\x85 third\x00\u2028fourth\x0b\x0c\u2029"
)


def test_it_keeps_hostile_input_on_one_line(lines):
    logger, written = lines

    logger.warning("login failed for %s", HOSTILE, extra={"email": HOSTILE})

    (line,) = written()
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_it_keeps_a_traceback_on_one_line(lines):
    logger, written = lines

    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logger.exception("broken")

    (line,) = written()
    assert "Traceback" in line
    assert line.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        f"GET /ws/?token={JWT}",
        "GET /ws/?ticket=s3cr3t-ticket&x=1",
        f"authorization: Bearer {JWT}",
        "Authorization: Bearer s3cr3t-opaque",
        "{'password': 's3cr3t'}",
        '{"refresh_token": "s3cr3t"}',
        f"bad token {JWT}",
        "cookie: session=s3cr3t; csrf=s3cr3t",
    ],
)
def test_it_hides_what_opens_doors(lines, text):
    logger, written = lines

    logger.error(text, extra={"cause": text})

    assert "s3cr3t" not in written()[0]
    assert JWT not in written()[0]


def test_it_says_nothing_of_query_strings(lines):
    logger, written = lines
    request = RequestFactory().get("/search?q=what-i-told-vera")

    logger.error("Server error: %s", request.path, extra={"request": request})

    assert "what-i-told-vera" not in written()[0]
    assert "/search" in written()[0]


def test_it_leaves_ordinary_words_alone(lines):
    logger, written = lines

    logger.info("reply finished", extra={"tokens": 12, "note": "a token of 3 words"})

    assert 'event="reply finished" tokens=12 note="a token of 3 words"' in written()[0]
