"""Structured log lines: one line per event, whatever it holds, and no secrets."""

import logging.config
import re
from pathlib import Path
from typing import Any

import structlog
from django.core.exceptions import ImproperlyConfigured

from accounts import origin

#: file → the loggers whose lines go there, when LOG_DIR is set.
FILES = {"auth": "tertulia.auth", "audit": "tertulia.audit", "app": "tertulia.app"}

#: What these libraries say of every request is ours to say, once a reply.
QUIET = ("daphne", "httpcore", "httpcore2", "httpx", "httpx2", "openai", "psycopg.pool")

#: A file is put aside when it has grown so large, and so many are kept.
FILE_BYTES = 10_000_000
FILES_KEPT = 5

#: The longest value of a line; clients send headers of any length.
LONGEST = 8000

#: Values that open doors: JWTs, headers, what query strings and forms carry, and links.
#: Each begins where no name goes on before it: a pattern that may begin anywhere in a
#: long name reads the rest of it from every place.
_SECRETS = (
    (re.compile(r"(?<![\w-])eyJ[\w-]{6,}\.[\w-]+\.[\w-]*"), "[token]"),
    (re.compile(r"(?i)(?<![\w-])(bearer)\s+[^\s\"',]+"), r"\1 [token]"),
    (
        re.compile(
            r"(?i)(?<![\w-])([\w-]*(?:token|ticket|password\d?|secret|api[_-]key|"
            r"admin-key|otp|recovery_code|authorization|cookie|sessionid|session|csrf)|"
            r"__host-\w+)"
            r"(=|[\"']?:\s*[\"']?)(?!\[)[^\s&;,\"'}]+"
        ),
        r"\1\2[hidden]",
    ),
    (re.compile(r"(/setup/|/reset/key/|/confirm-email/)[^\s/?\"']+"), r"\1[hidden]"),
)

#: Terminals and viewers end lines, or obey, at more characters than \n.
_CONTROL = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in [*range(10), *range(11, 32), *range(127, 160), 0x2028, 0x2029]
}


def clean(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Make every value harmless in a log: no control characters, no secrets."""
    # Django adds it to its errors; its text has the query string.
    event.pop("request", None)
    return {key: _clean(value) for key, value in event.items()}


def _clean(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    # More than is shown, so that a secret is not cut beyond recognition.
    whole = str(value)
    text = whole[: 2 * LONGEST]
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    if len(whole) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(whole)} characters)"
    return text.translate(_CONTROL)


def trace(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Say which request, or command of a socket, a line belongs to."""
    if not event.get("request_id") and (request_id := origin.current().request_id):
        event["request_id"] = request_id
    return event


_SHARED: list[Any] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    trace,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

PROCESSORS: list[Any] = [
    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
    structlog.processors.format_exc_info,
    clean,
    structlog.processors.LogfmtRenderer(
        key_order=["timestamp", "level", "logger", "event"], bool_as_flag=False
    ),
]


def configure(options: dict[str, str]) -> None:
    """Send lines to standard output, or to rotated files under `directory`."""
    handlers: dict[str, dict[str, Any]] = {
        "console": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "line",
        }
    }
    loggers: dict[str, dict[str, Any]] = {
        # Django's own handlers would say everything a second time.
        "django": {"handlers": [], "level": "INFO"},
        "django.request": {"level": "ERROR"},
        **{name: {"level": "WARNING"} for name in QUIET},
    }
    if options["directory"]:
        directory = _writable(Path(options["directory"]))
        for name, logger in FILES.items():
            handlers[name] = {
                "class": "logging.handlers.RotatingFileHandler",
                "filename": str(directory / f"{name}.log"),
                "maxBytes": FILE_BYTES,
                "backupCount": FILES_KEPT,
                "encoding": "utf-8",
                "formatter": "line",
            }
            loggers[logger] = {"handlers": [name], "propagate": False}
    root = "app" if options["directory"] else "console"
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": _SHARED,
                    "processors": PROCESSORS,
                }
            },
            "handlers": handlers,
            "loggers": loggers,
            "root": {"handlers": [root], "level": options["level"]},
        }
    )


def _writable(directory: Path) -> Path:
    """Return `directory`, made if need be; raises ImproperlyConfigured for others."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            open(directory / f"{name}.log", "ab").close()
    except OSError as error:
        raise ImproperlyConfigured(
            f"LOG_DIR: {directory} cannot be written ({error.strerror})."
        ) from None
    return directory
