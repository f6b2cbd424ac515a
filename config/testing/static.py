"""Static files as production serves them, for as long as a test needs them."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.environment import BASE_DIR
from config.testing.server import Server

STATIC_ROOT = BASE_DIR / "staticfiles"


@contextmanager
def collected_for(server: Server) -> Iterator[None]:
    """Collect what `server`, which has not started, serves in production.

    There is one place for it, so others wait until this is over.
    """
    with open(Path(tempfile.gettempdir()) / "tertulia-static", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        was_there = STATIC_ROOT.exists()
        server.manage("collectstatic", "--no-input", "--verbosity", "0")
        try:
            yield
        finally:
            if not was_there:
                shutil.rmtree(STATIC_ROOT)
