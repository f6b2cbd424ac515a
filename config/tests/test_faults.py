"""What is told of an exception: its kind, its codes and its place."""

import asyncio
import logging
import smtplib

import pytest
from django.core.exceptions import DisallowedHost
from django.db import DatabaseError, connection, transaction
from django.test import TestCase

from config import faults
from config.testing.lines import lines_of
from llm.errors import ProviderError

SAID = "what I told Vera"


class Amazons(Exception):
    response = {"Error": {"Code": "AccessDenied", "Message": SAID}}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError(SAID), "ValueError"),
        (OSError(111, SAID), "ConnectionRefusedError 111"),
        (smtplib.SMTPDataError(552, SAID), "SMTPDataError 552"),
        (smtplib.SMTPRecipientsRefused({"a@b.cd": (550, b"no a@b.cd")}), None),
        (ProviderError("provider_auth"), "ProviderError provider_auth"),
        (Amazons(SAID), "Amazons AccessDenied"),
        (AttributeError("'X' has no attribute 'y'"), None),
        (DisallowedHost("Invalid HTTP_HOST header"), None),
    ],
)
def test_it_tells_kinds_and_codes(error, told):
    if told is None:
        speaks = isinstance(error, (AttributeError, DisallowedHost))
        told = f"{type(error).__name__}: {error}" if speaks else type(error).__name__
    assert faults.tell(error) == told


def test_it_tells_what_led_to_it():
    try:
        try:
            raise OSError(32, SAID)
        except OSError as error:
            raise RuntimeError(SAID) from error
    except RuntimeError as error:
        raised = error

    assert faults.tell(raised) == "RuntimeError from BrokenPipeError 32"
    lines = faults.trace(raised).splitlines()
    assert [line for line in lines if line in ("RuntimeError", "BrokenPipeError 32")]
    assert lines[-1] == "RuntimeError"
    assert "test_it_tells_what_led_to_it" in faults.trace(raised)
    assert SAID not in faults.trace(raised)


def test_it_takes_the_words_out_of_a_text():
    error = ValueError(SAID)

    text = faults.without_words(f"Error calling it ({error}): {error!r}", error)

    assert text == "Error calling it (ValueError): ValueError"


def test_it_survives_an_exception_that_cannot_be_told():
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError(SAID)

    assert faults.without_words("broken", Odd()) == "broken"
    assert faults.tell(Odd()) == "Odd"


class LineTests(TestCase):
    """The words of exceptions stay out of lines that others write, too."""

    def test_a_database_tells_no_row(self):
        with lines_of("tertulia.app") as written, connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE said (words varchar(40) UNIQUE)")
            with self.assertRaises(DatabaseError) as caught, transaction.atomic():
                for _ in range(2):
                    cursor.execute("INSERT INTO said VALUES (%s)", [SAID])
            log = logging.getLogger("tertulia.app")
            log.error("broken", exc_info=caught.exception)
            log.error("broken", extra={"cause": caught.exception})

        assert len(written()) == 2
        assert SAID not in "".join(written())
        code = {"postgresql": "23505"}.get(
            connection.vendor, "SQLITE_CONSTRAINT_UNIQUE"
        )
        assert all(code in line for line in written())

    def test_what_breaks_after_a_commit_is_told_without_words(self):
        def broken():
            raise ValueError(SAID)

        # The test's own commits log what those of the product log, word for word.
        with (
            lines_of("django.test") as written,
            self.captureOnCommitCallbacks(execute=True),
        ):
            transaction.on_commit(broken, robust=True)

        assert len(written()) == 1
        assert SAID not in written()[0]
        assert "ValueError" in written()[0]

    def test_a_task_nobody_waited_for_is_told_without_words(self):
        async def broken():
            raise KeyError(SAID)

        async def main():
            task = asyncio.ensure_future(broken())
            await asyncio.sleep(0.01)
            del task

        with lines_of("asyncio") as written:
            asyncio.run(main())

        assert len([line for line in written() if "never retrieved" in line]) == 1
        assert SAID not in "".join(written())
