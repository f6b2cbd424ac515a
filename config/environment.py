"""Read the environment into typed values and refuse what cannot be served safely.

The only module that reads the environment. It knows nothing of Django beyond the
exception that stops a start with one line.
"""

import contextlib
import json
import os
import re
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

#: Characters that a secret has in production at least, as Django's own check wants it.
SECRET_LENGTH = 50

#: Values that published examples carry; a secret among them is no secret.
PUBLISHED = {"", "changeme", "change-me", "secret", "your-secret-key", "insecure"}

#: What a key that both sides know signs with, and what a published one verifies. Never
#: both for one issuer: a public key must not be taken for a secret everybody knows.
SHARED_KEY_ALGORITHMS = {"HS256", "HS384", "HS512"}
PUBLIC_KEY_ALGORITHMS = {
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
}

#: What a user can be (see accounts.models.User.Role).
ROLES = ("admin", "supervisor", "worker")

#: As far as any number of ours goes: what is in this range makes no time or integer
#: overflow, and is more than anybody means.
MOST = 1_000_000_000
MOST_DAYS = 36_500
#: Of a time that cannot be none, in whatever unit.
LEAST_TIME = 0.001

#: Addresses that mean "every interface of this machine".
ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104


def is_production() -> bool:
    """Whether the operator said DEBUG=false, which makes every check below strict."""
    return not env.bool("DEBUG", default=True)


def secret(name: str) -> str:
    """Return the secret `name`, made once in var/ (mode 0600) outside production.

    Raises ImproperlyConfigured in production when it is missing, published or
    too short.
    """
    given = env.str(name, default="")
    if is_production() and (given.lower() in PUBLISHED or len(given) < SECRET_LENGTH):
        raise ImproperlyConfigured(
            f"{name} must be set to a random value of at least {SECRET_LENGTH} "
            "characters."
        )
    return given or _kept_in_var(name.lower())


def admin_secret() -> str:
    """Return the operator key, or "" for none.

    Raises ImproperlyConfigured in production when it is published or too short.
    """
    given = env.str("ADMIN_SECRET", default="")
    weak = given.lower() in PUBLISHED or len(given) < SECRET_LENGTH
    if given and weak and is_production():
        raise ImproperlyConfigured(
            f"ADMIN_SECRET must be a random value of at least {SECRET_LENGTH} "
            "characters, or empty."
        )
    return given


def choice(name: str, default: str, *others: str) -> str:
    """Return the word that `name` is set to, in lower case.

    Raises ImproperlyConfigured for one that is neither the default nor of the others.
    """
    given = env.str(name, default=default)
    known = (default, *others)
    for word in known:
        if given.lower() == word.lower():
            return word
    raise ImproperlyConfigured(
        f"{name} must be one of {', '.join(known)}, not {given!r}."
    )


def rate(name: str, default: str) -> str:
    """Return how often something may be done, as in "30/m" or "5/10m".

    Raises ImproperlyConfigured for what is no rate: the first to be counted would find
    out.
    """
    given = env.str(name, default=default)
    if not re.fullmatch(r"[1-9]\d*/[1-9]?\d*[smhd]", given):
        raise ImproperlyConfigured(
            f"{name} must be a number and a time, such as {default}, not {given!r}."
        )
    return given


def whole(name: str, default: int, least: int = 0, most: int = MOST) -> int:
    """Return the whole number that `name` is set to.

    Raises ImproperlyConfigured for one that is not from `least` to `most`.
    """
    given = env.int(name, default=default)
    _check(name, given, least, most)
    return given


def amount(name: str, default: float, least: float = 0, most: float = MOST) -> float:
    """Return the number, with a fraction or not, that `name` is set to; as `whole`."""
    text = env.str(name, default=str(default))
    try:
        # django-environ's own reads "1e3" as 13, and "20 s" as 20.
        given = float(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {text!r}.") from None
    _check(name, given, least, most)
    return given


def _check(name: str, given: float, least: float, most: float) -> None:
    # What float() takes and is no number, "nan", compares with nothing.
    if not least <= given <= most:
        raise ImproperlyConfigured(
            f"{name} must lie between {least:g} and {most:.0f}, not be {given:g}."
        )


def port() -> int:
    """Return the port to listen on; raises ImproperlyConfigured for none there is."""
    given = env.int("PORT", default=8000)
    if not 0 <= given < 2**16:
        raise ImproperlyConfigured(f"PORT must lie below 65536, not be {given}.")
    return given


def required_roles() -> list[str]:
    """Return the roles that need a second factor.

    Raises ImproperlyConfigured for one there is not: nobody would be asked for it.
    """
    given = [name.strip() for name in env.list("MFA_REQUIRED_ROLES", default=[])]
    if unknown := [name for name in given if name not in ROLES]:
        raise ImproperlyConfigured(
            f"MFA_REQUIRED_ROLES must be some of {', '.join(ROLES)}, "
            f"not {unknown[0]!r}."
        )
    return given


def email_verification() -> str:
    """Return whether who signs up confirms the e-mail first: "off" or "required".

    Raises ImproperlyConfigured in production when no server would send the link.
    """
    given = choice("EMAIL_VERIFICATION", "off", "required")
    sends = env.str("EMAIL_URL", default="").startswith("smtp")
    if given == "required" and is_production() and not sends:
        raise ImproperlyConfigured(
            "EMAIL_VERIFICATION=required needs EMAIL_URL, a mail server that sends "
            "the links (smtp+tls://user:password@host:587)."
        )
    return given


def address(name: str) -> str:
    """Return the address `name`, which may carry a password, or "" for none.

    Raises ImproperlyConfigured for one that cannot be read, without quoting it.
    """
    given = env.str(name, default="")
    try:
        _port = urlsplit(given).port
    except ValueError:
        raise ImproperlyConfigured(
            f"{name} cannot be read: in its password write / as %2F, @ as %40, : as "
            "%3A, [ as %5B and so on."
        ) from None
    return given


def mail() -> dict[str, Any]:
    """Return how mail is sent, in the form of Django's settings: as EMAIL_URL says.

    Without it developers see mail on the console. In production it goes nowhere: among
    the lines of a log a link would open the account to whoever reads them.
    """
    address("EMAIL_URL")
    default = "dummymail://" if is_production() else "consolemail://"
    config: dict[str, Any] = env.email_url("EMAIL_URL", default=default)
    if config["EMAIL_BACKEND"] == env.EMAIL_SCHEMES["consolemail"]:
        config["EMAIL_BACKEND"] = "accounts.mail.ConsoleBackend"
    return config


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
    url = address("DATABASE_URL")
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


def file_storage() -> dict[str, Any]:
    """Return where uploads are kept, in the form of Django's STORAGES.

    Raises ImproperlyConfigured for an unknown STORAGE_BACKEND or half an S3.
    """
    if choice("STORAGE_BACKEND", "local", "s3") == "local":
        return {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    needed = {
        "S3_BUCKET": env.str("S3_BUCKET", default=""),
        "S3_ACCESS_KEY_ID": env.str("S3_ACCESS_KEY_ID", default=""),
        "S3_SECRET_ACCESS_KEY": env.str("S3_SECRET_ACCESS_KEY", default=""),
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise ImproperlyConfigured(
            f"{' and '.join(missing)} must be set for STORAGE_BACKEND=s3."
        )
    return {
        "BACKEND": "accounts.media.s3.PrivateStorage",
        "OPTIONS": {
            "bucket_name": needed["S3_BUCKET"],
            "access_key": needed["S3_ACCESS_KEY_ID"],
            "secret_key": needed["S3_SECRET_ACCESS_KEY"],
            "endpoint_url": env.str("S3_ENDPOINT_URL", default="") or None,
            "region_name": env.str("S3_REGION", default="us-east-1"),
        },
    }


def media_url() -> str:
    """Return the path uploads are served under, with a slash at both ends."""
    prefix = env.str("STATIC_URL_PREFIX", default="/media").strip("/")
    if not re.fullmatch(r"[\w.~-]+(/[\w.~-]+)*", prefix):
        raise ImproperlyConfigured("STATIC_URL_PREFIX must be a path such as /media.")
    return f"/{prefix}/"


def jwt_issuers(own_issuer: str) -> list[dict[str, Any]]:
    """Return the other services whose tokens are accepted; none by default.

    Each has `issuer`, `audience`, `algorithms`, `user` (match, create), `claim` (email,
    sub), and either `key` or `jwks_url`. Raises ImproperlyConfigured for anything else.
    """
    try:
        given = json.loads(env.str("JWT_ISSUERS", default="[]"))
    except ValueError:
        raise ImproperlyConfigured("JWT_ISSUERS must be JSON.") from None
    if not isinstance(given, list):
        raise ImproperlyConfigured("JWT_ISSUERS must be a list of objects.")
    issuers = [_issuer(number, entry) for number, entry in enumerate(given, 1)]
    names = [issuer["issuer"] for issuer in issuers]
    if len({*names, own_issuer}) <= len(names):
        raise ImproperlyConfigured(
            "JWT_ISSUERS must name every issuer once, and not JWT_ISSUER."
        )
    return issuers


def _issuer(number: int, entry: Any) -> dict[str, Any]:
    def refuse(why: str) -> ImproperlyConfigured:
        return ImproperlyConfigured(f"JWT_ISSUERS, entry {number}: {why}.")

    if not isinstance(entry, dict):
        raise refuse("must be an object")
    texts = {"issuer", "audience", "key", "jwks_url", "user", "claim"}
    if unknown := sorted(entry.keys() - texts - {"algorithms"}):
        raise refuse(f"there is no field {unknown[0]}")
    for name in sorted(texts & entry.keys()):
        if not isinstance(entry[name], str) or not 0 < len(entry[name]) <= 8192:
            raise refuse(f"{name} must be a text")
    if not {"issuer", "audience", "algorithms", "user"} <= entry.keys():
        raise refuse("issuer, audience, algorithms and user are needed")
    if len(entry["issuer"]) > 255:
        raise refuse("issuer is too long")
    if ("key" in entry) == ("jwks_url" in entry):
        raise refuse("either key or jwks_url is needed")
    allowed = SHARED_KEY_ALGORITHMS if "key" in entry else PUBLIC_KEY_ALGORITHMS
    algorithms = entry["algorithms"]
    if not (
        isinstance(algorithms, list)
        and algorithms
        and all(isinstance(name, str) and name in allowed for name in algorithms)
    ):
        raise refuse(f"algorithms must be some of {', '.join(sorted(allowed))}")
    key = entry.get("key")
    if key:
        # As long as what the algorithm makes of it (RFC 7518, 3.2).
        needed = max(int(name.removeprefix("HS")) // 8 for name in algorithms)
        if len(key) < needed or key.startswith("-----BEGIN"):
            raise refuse(f"key must be a shared secret of {needed} characters or more")
    schemes = ("https://",) if is_production() else ("https://", "http://")
    if not key and not entry["jwks_url"].startswith(schemes):
        raise refuse("jwks_url must begin with https://")
    if entry["user"] not in ("match", "create"):
        raise refuse("user must be match or create")
    if entry.setdefault("claim", "email") not in ("email", "sub"):
        raise refuse("claim must be email or sub")
    return entry
