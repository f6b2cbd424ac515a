"""What opens doors is found in a text, however it is written."""

import json
import time
from urllib.parse import quote

import pytest

from config import secrecy

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"

#: Every part of what must not be seen has it.
MARK = "s3cr3t"


@pytest.fixture
def keep():
    yield secrecy.keep
    secrecy.keep([])


@pytest.mark.parametrize(
    "text",
    [
        '{"password": "s3cr3t s3cr3t s3cr3t"}',
        "{'password': 's3cr3t s3cr3t'}",
        'password="s3cr3t s3cr3t"',
        '{"password": "s3cr3t\\" s3cr3t", "x": 1}',
        json.dumps({"cause": json.dumps({"password": 's3cr3t " s3cr3t'})}),
        json.dumps(json.dumps(json.dumps({"new_password": 's3cr3t " s3cr3t'}))),
        "{'password': b's3cr3t s3cr3t'}",
        "<QueryDict: {'password1': ['s3cr3t s3cr3t', 's3cr3t']}>",
        'password="s3cr3t s3cr3t that is cut',
        "password: s3cr3t s3cr3t",
        "login=a&password=s3cr3t+s3cr3t&next=/",
        "password%3Ds3cr3t",
        "passwd=s3cr3t",
        "pwd=s3cr3t",
        '"passphrase" : "s3cr3t s3cr3t"',
        "PASSWORD = s3cr3t",
        "Incorrect API key provided: sk-proj-s3cr3t. Received API Key = sk-s3cr3t",
        f"bad token {JWT}",
        "bearer s3cr3t",
        "subprotocols: bearer, s3cr3t",
        "sent Basic s3cr3ts3cr3t to it",
        "Authorization: Basic dXNlcjpzM2NyM3Q= s3cr3t",
        "Cookie: theme=dark; other=s3cr3t; more=s3cr3t",
        "postgresql://tertulia:s3cr3t@db/tertulia",
        "smtp+tls://me:s3cr3t@mail.example.org:587",
        "redis://:s3cr3t@redis:6379/0",
        "https://s3cr3t@example.org/",
        "https://bucket/x?X-Amz-Signature=s3cr3t&X-Amz-Credential=s3cr3t",
        '"ticket":"s3cr3t","refresh_token":"s3cr3t"',
        "?access%5ftoken=s3cr3t",
        "csrfmiddlewaretoken=s3cr3t",
        "__Host-csrf=s3cr3t",
        "x-admin-key: s3cr3t",
        "aws_secret_access_key = s3cr3t",
        '{"recovery_codes": ["s3cr3t", "s3cr3t"]}',
        "/setup/s3cr3t",
        "/accounts/password/reset/key/2-s3cr3t/",
        "/accounts/confirm-email/s3cr3t/",
    ],
)
def test_it_hides_what_it_looks_like(text):
    hidden = secrecy.hide(text)

    assert MARK not in hidden
    assert JWT[20:] not in hidden


@pytest.mark.parametrize(
    "text",
    [
        '{"code": "918273"}',
        "{'code': ['918273']}",
        "code=918273&x=1",
        "code: 918 273",
        '{"totp": 918273}',
        "totp=918 273",
        "recovery_code=918273918273",
    ],
)
def test_it_hides_codes_of_a_second_factor(text):
    hidden = secrecy.hide(text)

    assert "918" not in hidden
    assert "273" not in hidden


def test_it_leaves_the_rest_of_a_text():
    hidden = secrecy.hide('{"password": "s3cr3t", "email": "a@b.cd", "status": 7}')

    assert hidden == '{"password": [hidden], "email": "a@b.cd", "status": 7}'


@pytest.mark.parametrize(
    "text",
    [
        "reply finished",
        "a token of 3 words",
        "openai/gpt-4.1-mini failed: provider_auth",
        "HTTP 400 invalid_request_error",
        "code=provider_auth, exit code: 3, status_code=403",
        "a task-force-of-twenty",
        "see https://example.org/a@b",
        "user 66b12a1c-4f6b-411e-8a40-4b3e62134b7d",
        "2026-11-28T16:42:23.736542Z",
    ],
)
def test_it_leaves_ordinary_texts_alone(text):
    assert secrecy.hide(text) == text


@pytest.mark.parametrize(
    "value",
    ["correct-horse-battery-staple", 'p@ss/wörd "two" words', "p%40ss+w0rd&x", "s3cr"],
)
def test_it_hides_what_it_was_told_in_every_spelling(keep, value):
    keep(["", None, "abc", value])

    for spelling in (
        value,
        quote(value),
        quote(value, safe=""),
        json.dumps(value),
        repr(value),
        f"({value})",
    ):
        hidden = secrecy.hide(f"it was {spelling}")
        assert hidden.strip("()'\"").endswith("[hidden]"), spelling
        assert len(hidden) <= len("it was ([hidden])")
    assert secrecy.hide("abc") == "abc"


def test_it_takes_a_short_value_for_a_word(keep):
    keep(["tertulia", "a-value-that-is-long-enough"])

    assert secrecy.hide("tertulias of tertulia") == "tertulias of [hidden]"
    assert secrecy.hide("xa-value-that-is-long-enoughx") == "x[hidden]x"


@pytest.mark.parametrize(
    "piece",
    [
        "w",
        "password=",
        'password="',
        "password=\\",
        "token='",
        'token:["',
        'token:["a"',
        "token ",
        "token" + " " * 50,
        "://",
        "://a:b:c",
        "eyJ",
        "eyJaaaaaa.",
        "eyJaaaaaa..",
        "bearer ",
        "basic ",
        "__host-",
        "code:",
        "code: 1 2 3 4 5 6 7 8 x",
        "cookie:",
        "cookie: a=b\n",
        "/setup/",
        "sk-",
    ],
)
def test_it_reads_an_odd_text_once(piece):
    text = (piece * 100_000)[:100_000]
    began = time.perf_counter()

    secrecy.hide(text)

    # It takes a fifth of a second; from every place to the end it would be minutes.
    assert time.perf_counter() - began < 5


def test_it_is_quick_with_quotes_that_never_end():
    quotes = ("password=" + "\\" * number + '"' for number in range(400))
    began = time.perf_counter()

    secrecy.hide("".join(quotes)[:16_000])

    assert time.perf_counter() - began < 0.5
