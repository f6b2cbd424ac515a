"""The product as production runs it: HTTPS in front, static files collected."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest

from config.environment import BASE_DIR
from config.testing import Server
from config.testing.deployment import production_environment
from config.testing.static import collected_for

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def production(tmp_path_factory, migrated) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("production")
    environ = production_environment(directory / "var")
    given = {key: environ[key] for key in environ if key not in os.environ}
    given |= {"DEBUG": "false", "LLM_PROVIDER": "demo", "DATABASE_URL": migrated()}
    # The fixture asks for the health of a server by its address.
    given["ALLOWED_HOSTS"] += ",127.0.0.1"
    server = Server(directory, **given)
    with collected_for(server), server:
        yield server


def fetch(server: Server, path: str):
    headers = {"Host": "chat.example.org", "X-Forwarded-Proto": "https"}
    request = urllib.request.Request(f"{server.url}{path}", headers=headers)
    return urllib.request.urlopen(request, timeout=10)


def test_the_health_check_of_the_image_passes(production):
    done = subprocess.run(
        [sys.executable, "deploy/health.py"], cwd=BASE_DIR, env=production.environment
    )

    assert done.returncode == 0


def test_the_health_check_fails_where_nobody_answers(production, unused_address):
    _, port = unused_address
    environ = {**production.environment, "PORT": str(port)}

    done = subprocess.run(
        [sys.executable, "deploy/health.py"],
        cwd=BASE_DIR,
        env=environ,
        capture_output=True,
    )

    assert done.returncode != 0


def test_pages_name_static_files_that_may_be_kept_for_ever(production):
    with fetch(production, "/") as page:
        links = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.read().decode())

    assert links
    for link in set(links):
        with fetch(production, link) as answer:
            assert answer.status == 200
            assert re.search(r"\.[0-9a-f]{12}\.", link), link
            assert "immutable" in answer.headers["Cache-Control"]


def test_browsers_are_told_to_stay_with_https(production):
    with fetch(production, "/accounts/login/") as page:
        assert "max-age=31536000" in page.headers["Strict-Transport-Security"]
        cookies = page.headers.get_all("Set-Cookie") or []

    assert cookies
    assert all("Secure" in cookie for cookie in cookies)
    assert all(cookie.startswith("__Host-") for cookie in cookies)


def test_it_warns_that_no_mail_is_sent_and_prints_none(production):
    people = {"email": "alice@example.org", "password": "a tertulia at the corner"}
    for _ in range(2):  # the second time its owner is told by mail
        request = urllib.request.Request(
            f"{production.url}/api/v1/auth/register",
            json.dumps(people).encode(),
            {
                "Content-Type": "application/json",
                "Host": "chat.example.org",
                "X-Forwarded-Proto": "https",
            },
        )
        urllib.request.urlopen(request, timeout=30).close()
    time.sleep(1)

    log = production.log
    warnings = [line for line in log.splitlines() if "EMAIL_URL" in line]
    assert len(warnings) == 1
    assert "level=warning" in warnings[0]
    assert "no mail is sent" in warnings[0]
    assert "alice@example.org" not in log
    assert "Subject:" not in log


def test_django_finds_nothing_to_warn_of():
    done = subprocess.run(
        [sys.executable, "-m", "config.testing.deployment"],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
