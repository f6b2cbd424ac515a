"""Read the environment into typed values and refuse what cannot be served safely.

The only module that reads the environment. It knows nothing of Django beyond the
exception that stops a start with one line.
"""

import contextlib
import os
import secrets
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


class Environment(environ.Env):
    """django-environ, where empty means unset and nonsense stops with one line."""

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, **more: Any
    ) -> Any:
        if default is not self.NOTSET and not os.environ.get(var, "").strip():
            return default
        try:
            return super().get_value(var, cast, default, **more)
        except (ValueError, TypeError):
            kind = getattr(cast, "__name__", "value")
            kind = {"int": "whole number", "float": "number"}.get(kind, kind)
            raise ImproperlyConfigured(
                f"{var} must be a {kind}, not {os.environ[var]!r}."
            ) from None


env = Environment()
env.read_env(os.environ.get("ENV_FILE", BASE_DIR / ".env"))

VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).absolute()

#: Values that published examples carry; a secret among them is no secret.
PUBLISHED = {"", "changeme", "change-me", "secret", "your-secret-key", "insecure"}

#: Addresses that mean "every interface of this machine".
ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104


def is_production() -> bool:
    """Whether the operator said DEBUG=false, which makes every check below strict."""
    return not env.bool("DEBUG", default=True)


def secret(name: str) -> str:
    """Return the secret `name`, made once in var/ (mode 0600) outside production.

    Raises ImproperlyConfigured in production when it is missing, published or
    shorter than 32 characters.
    """
    given = env.str(name, default="")
    if is_production() and (given.lower() in PUBLISHED or len(given) < 32):
        raise ImproperlyConfigured(
            f"{name} must be set to a random value of at least 32 characters."
        )
    return given or _kept_in_var(name.lower())


def _kept_in_var(name: str) -> str:
    path = _var_dir() / name
    # Written aside and linked into place: of two processes starting together one
    # wins, and neither can read a half-written secret.
    if not path.exists():
        draft = VAR_DIR / f".{name}.{os.getpid()}"
        with open(os.open(draft, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


def _var_dir() -> Path:
    try:
        VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"{VAR_DIR} cannot be made ({error.strerror}): set VAR_DIR."
        ) from None
    return VAR_DIR


def public_url(host: str, port: int) -> str:
    """Return the address people type, without a slash at its end."""
    host = "localhost" if host in ANY_ADDRESS else f"[{host}]" if ":" in host else host
    return env.str("PUBLIC_URL", default=f"http://{host}:{port}").rstrip("/")


def allowed_hosts(host: str, public_url: str) -> list[str]:
    """Return the host names the server answers to."""
    given = env.list("ALLOWED_HOSTS", default=[])
    if is_production() and (not given or "*" in given):
        raise ImproperlyConfigured(
            "ALLOWED_HOSTS must name the hosts this server answers to, without '*'."
        )
    if given:
        return given
    known = {"localhost", "127.0.0.1", "[::1]", host, urlsplit(public_url).hostname}
    if host in ANY_ADDRESS:
        known |= own_names()
    return sorted(name for name in known - ANY_ADDRESS if name)


def own_names() -> set[str]:
    """Return the names and addresses under which the local network may know us."""
    name = socket.gethostname().lower()
    names = {name, f"{name.partition('.')[0]}.local"}
    with contextlib.suppress(OSError):
        names |= {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
    # Connecting a datagram socket sends nothing; it only asks the kernel which of
    # our addresses faces the network. 192.0.2.1 belongs to nobody (RFC 5737).
    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        names.add(probe.getsockname()[0])
    return {f"[{name}]" if ":" in name else name for name in names}


def database_url() -> str:
    """Return the database to use: DATABASE_URL, or SQLite in var/."""
    url = env.str("DATABASE_URL", default="")
    # The spelling SQLAlchemy programs use; operators who bring their .env along
    # should not have to find out.
    url = url.replace("postgresql+asyncpg://", "postgresql://", 1)
    url = url.replace("postgresql+psycopg2://", "postgresql://", 1)
    if not url:
        url = f"sqlite:///{_var_dir() / 'tertulia.sqlite3'}"
    # Redis is only there for several processes, and SQLite is not.
    if is_production() and url.startswith("sqlite") and env.str("REDIS_URL", ""):
        raise ImproperlyConfigured(
            "SQLite serves one process only: set DATABASE_URL to PostgreSQL, "
            "or unset REDIS_URL."
        )
    return url
