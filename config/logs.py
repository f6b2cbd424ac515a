"""Structured log lines: one line per event, whatever it holds, and no secrets."""

import logging.config
import re
from pathlib import Path
from typing import Any

import structlog

#: file → the loggers whose lines go there, when LOG_DIR is set.
FILES = {"auth": "tertulia.auth", "audit": "tertulia.audit", "app": "tertulia.app"}

#: What these libraries say of every request is ours to say, once a reply.
QUIET = ("daphne", "httpcore", "httpcore2", "httpx", "httpx2", "openai", "psycopg.pool")

#: Values that open doors: JWTs, bearer headers, and what query strings carry.
_SECRETS = (
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]+\.[\w-]*"), "[token]"),
    (re.compile(r"(?i)\b(bearer)\s+[^\s\"',]+"), r"\1 [token]"),
    (
        re.compile(
            r"(?i)\b(access_token|refresh_token|token|ticket|password|secret|api_key|"
            r"authorization|sessionid|session|csrf|__host-\w+)"
            r"(=|[\"']?:\s*[\"']?)(?!\[)[^\s&;,\"'}]+"
        ),
        r"\1\2[hidden]",
    ),
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
    text = str(value)
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text.translate(_CONTROL)


_SHARED: list[Any] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

PROCESSORS: list[Any] = [
    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
    structlog.processors.format_exc_info,
    clean,
    structlog.processors.LogfmtRenderer(
        key_order=["timestamp", "level", "logger", "event"]
    ),
]


def configure(options: dict[str, str]) -> None:
    """Send lines to standard output, or to rotated files under `directory`."""
    handlers: dict[str, dict[str, Any]] = {
        "console": {"class": "logging.StreamHandler", "formatter": "line"}
    }
    loggers: dict[str, dict[str, Any]] = {
        # Django's own handlers would say everything a second time.
        "django": {"handlers": [], "level": "INFO"},
        "django.request": {"level": "ERROR"},
        **{name: {"level": "WARNING"} for name in QUIET},
    }
    if options["directory"]:
        directory = Path(options["directory"])
        directory.mkdir(parents=True, exist_ok=True)
        for name, logger in FILES.items():
            handlers[name] = {
                "class": "logging.handlers.RotatingFileHandler",
                "filename": str(directory / f"{name}.log"),
                "maxBytes": 10_000_000,
                "backupCount": 5,
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
