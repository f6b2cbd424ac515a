"""Which process does a piece of work, and whether that process can still be alive."""

import hashlib
import os
import socket
import uuid


def _host() -> str:
    """Return a name that only processes share which see each other's process ids.

    Two containers may have one host name, and count their processes each from 1.
    """
    marks = [socket.gethostname()]
    for read in (_boot_of_machine, lambda: os.readlink("/proc/self/ns/pid")):
        try:
            marks.append(read())
        except OSError:  # not Linux
            continue
    return f"{marks[0][:20]}-{hashlib.sha256(' '.join(marks).encode()).hexdigest()[:8]}"


def _boot_of_machine() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


_HOST = _host()
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
