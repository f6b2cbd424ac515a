"""What the product reads from the environment, and what it refuses to start with."""

import os
import re
import stat
import subprocess
import sys

import pytest

from config import environment
from config.environment import BASE_DIR
from config.testing.deployment import production_environment
from config.testing.server import bare_environment, configured_names

# None of this asks a database: one of the two runs is enough.
pytestmark = pytest.mark.sqlite

# The names that programs rely on.
CONTRACT = {
    *("HOST", "PORT", "DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"),
    *("REDIS_URL", "PUBLIC_URL", "TRUSTED_PROXY_HOPS", "JWT_SECRET", "JWT_ALGORITHM"),
    *("JWT_ISSUER", "JWT_AUDIENCE", "ACCESS_TOKEN_MINUTES", "REFRESH_TOKEN_DAYS"),
    *("LLM_PROVIDER", "OLLAMA_HOST", "OLLAMA_MODEL", "OPENAI_API_KEY"),
    *("OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_API", "LLM_CONNECT_TIMEOUT"),
    *("LLM_FIRST_TOKEN_TIMEOUT", "LLM_IDLE_TIMEOUT", "LLM_TOTAL_TIMEOUT"),
    *("LLM_MAX_OUTPUT_TOKENS", "LLM_CONTEXT_TOKENS", "CHAT_RATE", "DAILY_UNITS_LIMIT"),
    *("EXPLICIT_CAP", "REGISTRATION", "PASSWORD_CHANGE_DOMAINS", "ADMIN_SECRET"),
    *("STORAGE_BACKEND", "UPLOAD_DIR", "STATIC_URL_PREFIX", "LOG_DIR", "LOG_LEVEL"),
    *("DRAIN_SECONDS", "WS_QUERY_TOKEN", "CORS_ALLOWED_ORIGINS", "RETENTION_DAYS"),
}


def names_read() -> set[str]:
    sources = [BASE_DIR / "config" / name for name in ("environment.py", "settings.py")]
    code = "\n".join(path.read_text() for path in sources)
    read = re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', code)
    return {*read, *re.findall(r'\bsecret\("([A-Z_]+)"', code)}


def run(environ: dict[str, str], *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=BASE_DIR,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_example_names_every_variable_that_is_read():
    assert configured_names() == names_read()


def test_the_example_names_every_variable_of_the_contract():
    assert CONTRACT - configured_names() == set()


def test_the_example_can_be_used_as_it_is(tmp_path):
    example = (BASE_DIR / ".env.example").read_text()
    (tmp_path / "env").write_text(example.replace("\n#", "\n"))
    environ = {
        **bare_environment(),
        "ENV_FILE": str(tmp_path / "env"),
        "VAR_DIR": str(tmp_path / "var"),
    }

    done = run(environ, "check")

    assert done.returncode == 0, done.stderr


def test_every_variable_of_the_example_is_explained():
    block: list[str] = []
    for line in (BASE_DIR / ".env.example").read_text().splitlines():
        if re.match(r"#[A-Z_]+=", line):
            assert block, f"{line} has no comment above it"
        elif line.startswith("# "):
            block.append(line)
        else:
            block = []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "changeme"}, "SECRET_KEY"),
        ({"SECRET_KEY": "too-short-to-be-random"}, "SECRET_KEY"),
        ({"JWT_SECRET": ""}, "JWT_SECRET"),
        ({"JWT_SECRET": "your-secret-key"}, "JWT_SECRET"),
        ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": "chat.example.org,*"}, "ALLOWED_HOSTS"),
        ({"DATABASE_URL": "", "REDIS_URL": "redis://127.0.0.1:1/0"}, "DATABASE_URL"),
        ({"PORT": "eight"}, "PORT"),
        ({"TRUSTED_PROXY_HOPS": "yes"}, "TRUSTED_PROXY_HOPS"),
        ({"LLM_IDLE_TIMEOUT": "soon"}, "LLM_IDLE_TIMEOUT"),
    ],
)
def test_production_refuses_with_one_line(tmp_path, change, name):
    environ = {**production_environment(tmp_path), **change}

    done = run(environ, "serve")

    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert name in line
    assert done.stdout == ""


def test_it_says_in_one_line_that_the_database_is_away(tmp_path):
    done = run(
        {
            **bare_environment(),
            "VAR_DIR": str(tmp_path),
            "PORT": "0",
            "DATABASE_URL": "postgresql://tertulia@127.0.0.1:9/tertulia",
        },
        "serve",
    )

    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert "database" in line


def test_secrets_are_made_once_and_for_the_owner_only(tmp_path):
    environ = {**bare_environment(), "VAR_DIR": str(tmp_path / "var")}

    run(environ, "check")
    made = {name: (tmp_path / "var" / name) for name in ("secret_key", "jwt_secret")}
    values = {name: path.read_text() for name, path in made.items()}
    run(environ, "check")

    for name, path in made.items():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text() == values[name]
        assert len(values[name]) >= 32
    assert values["secret_key"] != values["jwt_secret"]


def test_processes_that_start_together_share_one_secret(tmp_path, monkeypatch):
    environ = {**bare_environment(), "VAR_DIR": str(tmp_path / "var")}
    code = "from config.settings import SECRET_KEY; print(SECRET_KEY)"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=BASE_DIR,
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]

    keys = {process.communicate()[0] for process in started}

    assert len(keys) == 1


def test_an_empty_variable_counts_as_unset(monkeypatch):
    monkeypatch.setenv("DRAIN_SECONDS", " ")

    assert environment.env.float("DRAIN_SECONDS", default=20) == 20


def test_this_machine_is_allowed_when_it_listens_to_the_network(monkeypatch):
    monkeypatch.delenv("ALLOWED_HOSTS", raising=False)
    monkeypatch.setattr(environment, "own_names", lambda: {"attic.local", "10.0.0.7"})

    hosts = environment.allowed_hosts("0.0.0.0", "http://localhost:8000")

    assert {"localhost", "127.0.0.1", "attic.local", "10.0.0.7"} <= set(hosts)
    assert not {"*", "0.0.0.0"} & set(hosts)


def test_only_loopback_is_allowed_when_it_listens_to_nobody_else(monkeypatch):
    monkeypatch.delenv("ALLOWED_HOSTS", raising=False)

    hosts = environment.allowed_hosts("127.0.0.1", "http://127.0.0.1:8000")

    assert hosts == ["127.0.0.1", "[::1]", "localhost"]


@pytest.mark.parametrize("scheme", ["postgresql+asyncpg", "postgresql+psycopg2"])
def test_it_understands_the_url_of_other_programs(monkeypatch, scheme):
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://me@db/tertulia")

    assert environment.database_url() == "postgresql://me@db/tertulia"


def test_the_environment_of_the_tests_is_nobodys(settings):
    assert settings.LLM_PROVIDER == "demo"
    assert str(BASE_DIR) not in str(settings.VAR_DIR)
    assert os.environ["ENV_FILE"] == os.devnull
