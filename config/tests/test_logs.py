"""What may stand in a log line."""

import io
import json
import logging
import subprocess
import sys

import pytest
from django.test import RequestFactory

from accounts.origin import Origin, coming_from
from config import logs, secrecy
from config.environment import BASE_DIR
from config.testing.lines import handler
from config.testing.server import bare_environment

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture
def lines():
    """A logger in our format, and a function that returns the lines it wrote."""
    out = io.StringIO()
    logger = logging.Logger("tertulia.test")
    logger.addHandler(handler(out))
    return logger, lambda: out.getvalue().removesuffix("\n").split("\n")


HOSTILE = (
    "first\r\nlevel=error second\x1b[31m\x07\x85 third\x00\u2028fourth\x0b\x0c\u2029"
    "\u202efifth\u2066\ud800"
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


def test_it_takes_no_name_of_a_logger_for_a_password(lines):
    logger, written = lines
    secrecy.keep(["tertulia"])

    logger.info("tertulia is up")
    secrecy.keep([])

    assert 'logger=tertulia.test event="[hidden] is up"' in written()[0]


def test_every_secret_of_the_settings_is_hidden(tmp_path):
    secrets = {
        "SECRET_KEY": f"{'s' * 40}.of.django",
        "JWT_SECRET": f"{'j' * 40}.of.tokens",
        "ADMIN_SECRET": f"{'a' * 40}.of.operators",
        "OPENAI_API_KEY": "key.of.openai",
        "DATABASE_URL": "postgresql://tertulia:of.database@127.0.0.1:9/x",
        "REDIS_URL": "redis://:of.redis@127.0.0.1:9/0",
        "EMAIL_URL": "smtp+tls://me:of%2Email@127.0.0.1:9",
        "STORAGE_BACKEND": "s3",
        "S3_BUCKET": "pictures",
        "S3_ACCESS_KEY_ID": "id.of.storage",
        "S3_SECRET_ACCESS_KEY": "key.of.storage",
        "JWT_ISSUERS": json.dumps(
            [
                {
                    "issuer": "https://intranet.example.org",
                    "audience": "tertulia",
                    "algorithms": ["HS256"],
                    "key": f"{'i' * 40}.of.issuer",
                    "user": "match",
                }
            ]
        ),
    }
    values = [secrets[name] for name in list(secrets)[:4]]
    values += ["of.database", "of.redis", "of.mail", "of%2Email"]
    values += ["id.of.storage", "key.of.storage", f"{'i' * 40}.of.issuer"]
    code = f"""
import django; django.setup()
import logging
for value in {values!r}:
    logging.getLogger("tertulia.app").info("it was (%s)", value)
"""

    done = run(
        code,
        DJANGO_SETTINGS_MODULE="config.settings",
        VAR_DIR=str(tmp_path),
        **secrets,
    )

    lines = done.stdout.splitlines()
    assert (len(lines), done.stderr) == (len(values), "")
    assert [line for line in lines if 'event="it was ([hidden])"' not in line] == []


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


@pytest.mark.parametrize(
    "text",
    [
        "POST password1=s3cr3t&password2=s3cr3t",
        "{'current_password': 's3cr3t', 'new_password': 's3cr3t'}",
        '{"totp": "s3cr3t", "recovery_code": "s3cr3t"}',
        "X-Admin-Key: s3cr3t",
        "Internal Server Error: /setup/s3cr3t",
        "GET /accounts/password/reset/key/2-s3cr3t/",
        "GET /accounts/confirm-email/s3cr3t/",
        "set-cookie: __Host-session=s3cr3t; Path=/",
    ],
)
def test_it_hides_what_forms_headers_and_links_carry(lines, text):
    logger, written = lines

    logger.error(text, extra={"cause": text})

    assert "s3cr3t" not in written()[0]


def test_it_cuts_what_is_too_long(lines):
    logger, written = lines

    logger.info("signed in", extra={"user_agent": "x" * 1_000_000})

    (line,) = written()
    assert len(line) < 2 * logs.LONGEST
    assert "(1000000 characters)" in line


def test_it_hides_what_is_cut_in_the_middle(lines):
    logger, written = lines

    logger.info("x" * (logs.LONGEST - 20) + f" bearer {'s3cr3t' * 10}")

    assert "s3cr3t" not in written()[0]


def test_every_line_says_to_which_request_it_belongs(lines):
    logger, written = lines

    with coming_from(Origin("192.0.2.7", "a-request")):
        logger.info("inside")
        logger.info("its own", extra={"request_id": "another"})
    logger.info("outside")

    inside, own, outside = written()
    assert "request_id=a-request" in inside
    assert "request_id=another" in own
    assert "request_id" not in outside


def test_what_is_true_and_false_can_be_told(lines):
    logger, written = lines

    logger.info("changed", extra={"old": True, "new": False})

    assert "old=true new=false" in written()[0]


def run(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=BASE_DIR,
        env={**bare_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


WRITE = """
import logging, logging.config
from config import logs, secrecy
logs.FILE_BYTES = 2000
logs.configure({"directory": %r, "level": "INFO"})
for number in range(200):
    for name in ("auth", "audit", "app"):
        logging.getLogger(f"tertulia.{name}").info("line of %%s, %%d", name, number)
logging.getLogger("somebody.else").info("line of app, too")
"""


def test_files_are_rotated_and_each_has_its_own_lines(tmp_path):
    done = run(WRITE % str(tmp_path / "logs"), VAR_DIR=str(tmp_path))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for name in ("auth", "audit", "app"):
        files = sorted((tmp_path / "logs").glob(f"{name}.log*"))
        assert len(files) == 1 + logs.FILES_KEPT
        assert all(file.stat().st_size <= 2000 for file in files)
        written = "".join(file.read_text() for file in files).splitlines()
        assert {f"line of {name}" in line for line in written} == {True}
        assert f'event="line of {name}, 199"' in "".join(written)


def test_without_a_directory_lines_go_to_the_console(tmp_path):
    done = run(WRITE % "", VAR_DIR=str(tmp_path))

    lines = done.stdout.splitlines()
    assert (len(lines), done.stderr) == (601, "")
    assert all(line.startswith("timestamp=") for line in lines)


@pytest.mark.parametrize("directory", ["logs", ""])
def test_who_comes_and_what_is_done_is_recorded_at_every_level(tmp_path, directory):
    directory = directory and str(tmp_path / directory)
    code = (WRITE % directory).replace("INFO", "ERROR")

    done = run(code, VAR_DIR=str(tmp_path))

    written = done.stdout + "".join(
        file.read_text() for file in sorted(tmp_path.glob("logs/*"))
    )
    assert "line of auth, 199" in written
    assert "line of audit, 199" in written
    assert "line of app" not in written


def test_nobody_else_reads_the_files(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    for name in ("auth.log", "audit.log.1"):
        (directory / name).touch()
        (directory / name).chmod(0o644)

    # Whatever the one who starts it lets others do by default.
    done = run("import os; os.umask(0)" + WRITE % str(directory), VAR_DIR=str(tmp_path))

    assert done.returncode == 0
    files = sorted(directory.iterdir())
    assert len(files) == 3 * (1 + logs.FILES_KEPT)
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o640"}


@pytest.mark.parametrize("name", ["file/logs", "taken"])
def test_a_directory_that_cannot_be_written_stops_the_start(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "audit.log").mkdir(parents=True)

    done = subprocess.run(
        [sys.executable, "manage.py", "serve"],
        cwd=BASE_DIR,
        env={
            **bare_environment(),
            "VAR_DIR": str(tmp_path / "var"),
            "LOG_DIR": str(tmp_path / name),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("LOG_DIR: ")
