"""Structured log lines: one line per event, whatever it holds, and no secrets."""

import logging.config
import logging.handlers
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from django.core.exceptions import ImproperlyConfigured

from accounts import origin
from config import faults, secrecy

#: file → the loggers whose lines go there, when LOG_DIR is set.
FILES = {"auth": "tertulia.auth", "audit": "tertulia.audit", "app": "tertulia.app"}

#: Those of them that are complete, whatever LOG_LEVEL says.
RECORDS = ("auth", "audit")

#: Fields that hold nothing but our own words, whatever a password may be called.
OURS = {"timestamp", "level", "logger"}

#: What these libraries say of every request is ours to say, once a reply.
QUIET = (
    *("daphne", "httpcore", "httpcore2", "httpx", "httpx2", "openai", "psycopg.pool"),
    # Of what is stored they would say everything.
    *("boto3", "botocore", "s3transfer", "urllib3", "PIL"),
)

#: A file is put aside when it has grown so large, and so many are kept.
FILE_BYTES = 10_000_000
FILES_KEPT = 5

#: Who may do what with a file.
FILE_MODE = 0o640

#: The longest value of a line; clients send headers of any length.
LONGEST = 8000

#: Terminals and viewers end lines, or obey, at more characters than \n.
_CONTROL = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in [
        *(*range(10), *range(11, 32), *range(127, 160)),
        # Ends of lines, what turns the reading direction, and halves of characters,
        # which no file takes.
        *(0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)),
        *range(0xD800, 0xE000),
    ]
}


def clean(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Make every value harmless in a log: no control characters, no secrets."""
    # Django adds it to its errors; its text has the query string.
    event.pop("request", None)
    return {
        key: value if key in OURS else _clean(value) for key, value in event.items()
    }


def _clean(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, BaseException):
        value = faults.tell(value)
    # More than is shown, so that a secret is not cut beyond recognition.
    whole = str(value)
    text = secrecy.hide(whole[: 2 * LONGEST])
    if len(whole) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(whole)} characters)"
    return text.translate(_CONTROL)


def tell(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Say of an exception what it is and where it came from, without its words."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["event"] = faults.without_words(str(event.get("event", "")), error)
        event["exception"] = faults.trace(error)
    return event


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
    tell,
    clean,
    structlog.processors.LogfmtRenderer(
        key_order=["timestamp", "level", "logger", "event"], bool_as_flag=False
    ),
]


class File(logging.handlers.RotatingFileHandler):
    """A rotated file that its owner writes, their group reads, and nobody else."""

    def _open(self) -> Any:
        return open(
            self.baseFilename, self.mode, encoding=self.encoding, opener=_opener
        )


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


def configure(options: dict[str, Any]) -> None:
    """Send lines to standard output, or to rotated files under `directory`.

    What is in `secrets` comes into none of them.
    """
    secrecy.keep(options.get("secrets", ()))
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
        # Who came and what was done is no question of how much one wants to read.
        **{FILES[name]: {"level": "INFO"} for name in RECORDS},
    }
    if options["directory"]:
        directory = _writable(Path(options["directory"]))
        for name, logger in FILES.items():
            handlers[name] = {
                "class": "config.logs.File",
                "filename": str(directory / f"{name}.log"),
                "maxBytes": FILE_BYTES,
                "backupCount": FILES_KEPT,
                "encoding": "utf-8",
                "formatter": "line",
            }
            own = {"handlers": [name], "propagate": False}
            loggers[logger] = {**loggers.get(logger, {}), **own}
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
            open(directory / f"{name}.log", "ab", opener=_opener).close()
            for file in directory.glob(f"{name}.log*"):
                # Those of another owner are theirs to close.
                with suppress(PermissionError):
                    file.chmod(file.stat().st_mode & FILE_MODE)
    except OSError as error:
        raise ImproperlyConfigured(
            f"LOG_DIR: {directory} cannot be written ({error.strerror})."
        ) from None
    return directory
