"""Which process does a piece of work, and whether that process can still be alive."""

import os
import socket
import uuid

_HOST = socket.gethostname()[:30]
_BOOT = uuid.uuid4().hex[:8]


def this_worker() -> str:
    """Return the name of this process: host, process id, and a mark of this start."""
    return f"{_HOST}:{os.getpid()}:{_BOOT}"


def is_dead(worker: str) -> bool:
    """Whether `worker` certainly does not run any more.

    Known only of processes on this host; of others, a missing heartbeat tells.
    """
    host, pid, boot = worker.rsplit(":", 2)
    if host != _HOST or not pid.isdigit():
        return False
    if int(pid) == os.getpid():
        return boot != _BOOT
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
