"""What the product reads from the environment, and what it refuses to start with."""

import json
import os
import re
import secrets
import shlex
import stat
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts.models import User
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
    read = re.findall(r'\benv\.\w+\(\s*"([A-Z0-9_]+)"', code)
    return {
        *read,
        *re.findall(
            r'\b(?:secret|choice|rate|whole|amount|address)\(\s*"([A-Z_]+)"', code
        ),
    }


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
        if re.match(r"#[A-Z0-9_]+=", line):
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
        ({"SECRET_KEY": secrets.token_urlsafe(40)[:49]}, "SECRET_KEY"),
        ({"JWT_SECRET": ""}, "JWT_SECRET"),
        ({"JWT_SECRET": secrets.token_urlsafe(40)[:49]}, "JWT_SECRET"),
        ({"ADMIN_SECRET": secrets.token_urlsafe(40)[:49]}, "ADMIN_SECRET"),
        ({"JWT_SECRET": "your-secret-key"}, "JWT_SECRET"),
        ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": "chat.example.org,*"}, "ALLOWED_HOSTS"),
        ({"DATABASE_URL": "", "REDIS_URL": "redis://127.0.0.1:1/0"}, "DATABASE_URL"),
        ({"ADMIN_SECRET": "too-short-to-be-random"}, "ADMIN_SECRET"),
        ({"PORT": "eight"}, "PORT"),
        ({"TRUSTED_PROXY_HOPS": "yes"}, "TRUSTED_PROXY_HOPS"),
        ({"LLM_IDLE_TIMEOUT": "soon"}, "LLM_IDLE_TIMEOUT"),
        ({"JWT_ISSUERS": "https://django.example"}, "JWT_ISSUERS"),
        ({"MFA_REQUIRED_ROLES": "admin,superviser"}, "MFA_REQUIRED_ROLES"),
        ({"EMAIL_VERIFICATION": "required"}, "EMAIL_URL"),
    ],
)
def test_production_refuses_with_one_line(tmp_path, change, name):
    environ = {**production_environment(tmp_path), **change}

    done = run(environ, "serve")

    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert name in line
    assert done.stdout == ""


def written_secret() -> str:
    """Return what the command in .env.example makes."""
    (command,) = re.findall(
        "^# (python3 -c .+)$", (BASE_DIR / ".env.example").read_text(), re.MULTILINE
    )
    _, *arguments = shlex.split(command)
    made = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    return made.stdout.strip()


def as_deployment_says() -> dict[str, str]:
    """Return the variables of docs/deployment.md, with secrets for its dots."""
    said = (BASE_DIR / "docs/deployment.md").read_text().split("```")[1]
    return {
        name: value if value != "…" else written_secret()
        for line in said.splitlines()
        for name, value in re.findall(r"([A-Z_]+)=(\S+)", line.partition(" #")[0])
    }


def as_compose_says() -> dict[str, str]:
    """Return the environment of compose.yaml where .env has what it asks for."""
    said = (BASE_DIR / "compose.yaml").read_text()
    written = as_deployment_says() | {"POSTGRES_PASSWORD": secrets.token_hex(16)}
    lines = said.partition("    environment:\n")[2].partition("    extra_hosts:")[0]

    def value(match: re.Match[str]) -> str:
        name, how, default = match.groups()
        return default if how == ":-" else written[name]

    return {"TRUSTED_PROXY_HOPS": written["TRUSTED_PROXY_HOPS"]} | {
        name: re.sub(r"\$\{(\w+)(:[?-])([^}]*)\}", value, given).strip('"')
        for name, given in re.findall(r"^ +([A-Z_]+): (.+)$", lines, re.MULTILINE)
    }


@pytest.mark.parametrize("said", [as_deployment_says, as_compose_says])
def test_django_finds_nothing_to_warn_of_in_what_the_documents_say(tmp_path, said):
    environ = {**bare_environment(), "VAR_DIR": str(tmp_path), **said()}
    assert {"SECRET_KEY", "JWT_SECRET", "PUBLIC_URL"} < set(environ)

    done = run(environ, "check", "--deploy", "--fail-level", "WARNING")

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "EMAIL_URL"])
@pytest.mark.parametrize("password", ["s3cr/et", "s3[cret", "s3c:r/e"])
def test_it_shows_no_password_of_an_address_it_cannot_read(tmp_path, name, password):
    scheme = {"DATABASE_URL": "postgresql", "REDIS_URL": "redis"}.get(name, "smtp")
    address = f"{scheme}://me:{password}@127.0.0.1:9/0"
    environ = {**production_environment(tmp_path), name: address}

    done = run(environ, "serve")

    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{name} ")
    assert "s3c" not in line
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


ISSUER = {
    "issuer": "https://django.example",
    "audience": "tertulia",
    "algorithms": ["HS256"],
    "key": "a secret of thirty-two characters, or more",
    "user": "match",
}
PUBLISHED = {"jwks_url": "https://django.example/keys.json", "algorithms": ["RS256"]}


def read_issuers(monkeypatch, *entries):
    monkeypatch.setenv("JWT_ISSUERS", json.dumps(entries))
    return environment.jwt_issuers("tertulia")


def without(*names, **changes):
    return {k: v for k, v in (ISSUER | changes).items() if k not in names}


def test_it_accepts_no_other_issuer_by_default(monkeypatch):
    monkeypatch.delenv("JWT_ISSUERS", raising=False)

    assert environment.jwt_issuers("tertulia") == []


def test_it_reads_other_issuers(monkeypatch):
    other = without("key", issuer="https://b.example", claim="sub", **PUBLISHED)

    issuers = read_issuers(monkeypatch, ISSUER, other)

    assert issuers == [ISSUER | {"claim": "email"}, other]


@pytest.mark.parametrize(
    "entry",
    [
        [],
        without("issuer"),
        without("audience"),
        without("algorithms"),
        without("user"),
        without("key"),
        ISSUER | PUBLISHED,
        ISSUER | {"algorithm": "HS256"},
        ISSUER | {"issuer": 5},
        ISSUER | {"issuer": ""},
        ISSUER | {"issuer": "x" * 256},
        ISSUER | {"issuer": "tertulia"},
        ISSUER | {"audience": ["tertulia"]},
        ISSUER | {"algorithms": []},
        ISSUER | {"algorithms": "HS256"},
        ISSUER | {"algorithms": ["none"]},
        ISSUER | {"algorithms": ["HS256", "none"]},
        ISSUER | {"algorithms": ["RS256"]},
        ISSUER | {"algorithms": [["HS256"]]},
        ISSUER | {"key": "short"},
        ISSUER | {"algorithms": ["HS512"]},
        ISSUER | {"key": "-----BEGIN PUBLIC KEY-----" + "x" * 40},
        ISSUER | {"user": "trust"},
        ISSUER | {"claim": "name"},
        without("key", **PUBLISHED | {"algorithms": ["HS256"]}),
        without("key", **PUBLISHED | {"jwks_url": "file:///etc/passwd"}),
    ],
)
def test_it_refuses_issuers_that_cannot_be_trusted(monkeypatch, entry):
    with pytest.raises(ImproperlyConfigured, match=r"^JWT_ISSUERS.*\.$"):
        read_issuers(monkeypatch, entry)


def test_it_refuses_an_issuer_that_is_named_twice(monkeypatch):
    with pytest.raises(ImproperlyConfigured, match="once"):
        read_issuers(monkeypatch, ISSUER, ISSUER)


def test_production_fetches_keys_over_https_only(monkeypatch):
    plain = without("key", **PUBLISHED | {"jwks_url": "http://django.example/keys"})
    assert read_issuers(monkeypatch, plain)

    monkeypatch.setenv("DEBUG", "false")

    with pytest.raises(ImproperlyConfigured, match="https"):
        read_issuers(monkeypatch, plain)


def test_it_knows_every_role():
    assert list(environment.ROLES) == User.Role.values


def test_it_reads_the_roles_that_need_a_second_factor(monkeypatch):
    monkeypatch.setenv("MFA_REQUIRED_ROLES", " admin, supervisor")

    assert environment.required_roles() == ["admin", "supervisor"]


@pytest.mark.parametrize("roles", ["Admin", "superviser", "admin;worker", "admin,,x"])
def test_it_refuses_roles_there_are_not(monkeypatch, roles):
    monkeypatch.setenv("MFA_REQUIRED_ROLES", roles)

    with pytest.raises(ImproperlyConfigured, match=r"^MFA_REQUIRED_ROLES.*\.$"):
        environment.required_roles()


def test_it_lets_people_in_without_a_mail_by_default(monkeypatch):
    monkeypatch.delenv("EMAIL_VERIFICATION", raising=False)

    assert environment.email_verification() == "off"


@pytest.mark.parametrize("value", ["on", "true", "mandatory", "optional"])
def test_it_refuses_a_verification_there_is_not(monkeypatch, value):
    monkeypatch.setenv("EMAIL_VERIFICATION", value)

    with pytest.raises(ImproperlyConfigured, match=r"^EMAIL_VERIFICATION .*\.$"):
        environment.email_verification()


def test_production_verifies_addresses_only_by_mail_that_is_sent(monkeypatch):
    monkeypatch.setenv("EMAIL_VERIFICATION", "required")
    monkeypatch.delenv("EMAIL_URL", raising=False)
    assert environment.email_verification() == "required"

    monkeypatch.setenv("DEBUG", "false")

    for url in ("", "consolemail://", "dummymail://", "filemail:///tmp/mail"):
        monkeypatch.setenv("EMAIL_URL", url)
        with pytest.raises(ImproperlyConfigured, match="EMAIL_URL"):
            environment.email_verification()
    for url in ("smtp://mail.example.org:25", "smtp+tls://me:pw@mail.example.org:587"):
        monkeypatch.setenv("EMAIL_URL", url)
        assert environment.email_verification() == "required"


def test_mail_is_printed_for_developers_and_in_production_only_sent(monkeypatch):
    monkeypatch.delenv("EMAIL_URL", raising=False)
    assert environment.mail()["EMAIL_BACKEND"] == "accounts.mail.ConsoleBackend"

    monkeypatch.setenv("DEBUG", "false")

    assert environment.mail()["EMAIL_BACKEND"].endswith(".dummy.EmailBackend")
    monkeypatch.setenv("EMAIL_URL", "smtp+tls://me:pw@mail.example.org:587")
    assert environment.mail()["EMAIL_BACKEND"].endswith(".smtp.EmailBackend")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHAT_RATE", "lots"),
        ("CHAT_RATE", "0/m"),
        ("ACCESS_TOKEN_MINUTES", "-1"),
        ("ACCESS_TOKEN_MINUTES", "0"),
        ("DAILY_UNITS_LIMIT", "-5"),
        ("DELETION_GRACE_DAYS", "-1"),
        ("DELETION_GRACE_DAYS", "40000"),
        ("DRAIN_SECONDS", "-0.5"),
        ("EXPLICIT_CAP", "-1"),
        ("EXPLICIT_CAP", "4"),
        ("JWT_ALGORITHM", "none"),
        ("JWT_ALGORITHM", "RS256"),
        ("LLM_CONNECT_TIMEOUT", "0"),
        ("LLM_CONTEXT_TOKENS", "0"),
        ("LLM_FIRST_TOKEN_TIMEOUT", "inf"),
        ("LLM_IDLE_TIMEOUT", "nan"),
        ("LLM_MAX_OUTPUT_TOKENS", "-1"),
        ("LLM_PROVIDER", "olama"),
        ("LLM_TOTAL_TIMEOUT", "-600"),
        ("LOG_LEVEL", "LOUD"),
        ("OPENAI_API", "completions"),
        ("PORT", "99999"),
        ("REFRESH_TOKEN_DAYS", "-30"),
        ("REFRESH_TOKEN_DAYS", "1e+300"),
        ("REGISTRATION", "close"),
        ("RETENTION_DAYS", "-1"),
        ("STORAGE_BACKEND", "ftp"),
        ("TRUSTED_PROXY_HOPS", "-1"),
    ],
)
def test_it_refuses_in_one_line_what_could_only_fail_later(tmp_path, name, value):
    answer = run({**bare_environment(), "VAR_DIR": str(tmp_path), name: value}, "check")
    assert answer.returncode != 0
    assert name in answer.stderr
    assert value in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize(("value", "known"), [("warning", "WARNING"), ("", "INFO")])
def test_it_reads_words_in_any_case(monkeypatch, value, known):
    monkeypatch.setenv("LOG_LEVEL", value)
    assert environment.choice("LOG_LEVEL", "INFO", "WARNING") == known


@pytest.mark.parametrize("value", ["30/m", "5/10m", "100/h"])
def test_it_reads_rates(monkeypatch, value):
    monkeypatch.setenv("CHAT_RATE", value)
    assert environment.rate("CHAT_RATE", "30/m") == value


@pytest.mark.parametrize("value", ["0", "1000", "2147483647"])
def test_it_reads_numbers_to_the_ends_of_what_they_may_be(monkeypatch, value):
    monkeypatch.setenv("DAILY_UNITS_LIMIT", value)
    most = 2_147_483_647
    assert environment.whole("DAILY_UNITS_LIMIT", 1, most=most) == int(value)


def test_every_number_that_is_read_has_ends():
    settings = (BASE_DIR / "config" / "settings.py").read_text()
    assert not re.findall(r"env\.(?:int|float)\(", settings)
