"""The lines that a logger writes, as the product writes them."""

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from config import logs


def handler(out: io.StringIO) -> logging.Handler:
    """Return a handler that writes our lines to `out`."""
    writer = logging.StreamHandler(out)
    writer.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=logs._SHARED, processors=logs.PROCESSORS
        )
    )
    return writer


@contextmanager
def lines_of(name: str) -> Iterator[Callable[[], list[str]]]:
    """Keep what the logger `name` writes; what is given returns it so far."""
    out = io.StringIO()
    logger, added = logging.getLogger(name), handler(out)
    before = logger.level
    logger.addHandler(added)
    logger.setLevel(logging.DEBUG)
    try:
        yield lambda: out.getvalue().splitlines()
    finally:
        logger.setLevel(before)
        logger.removeHandler(added)
