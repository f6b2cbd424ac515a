"""What Linux says about processes and the machine, from /proc."""

import asyncio
import os
import sys
import time
from collections.abc import Coroutine
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def run_fast(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` on uvloop, or on asyncio's own loop where there is none."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
        return
    if sys.version_info < (3, 12):
        uvloop.install()
        asyncio.run(work)
    else:
        uvloop.run(work)


def _statistics(pid: int | str) -> list[str]:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def tree(pids: list[int]) -> list[int]:
    """Return the processes and all their descendants."""
    parent = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                parent[int(entry.name)] = int(_statistics(entry.name)[1])
            except OSError:
                continue
    found, grew = set(pids), True
    while grew:
        grew = False
        for pid, above in parent.items():
            if above in found and pid not in found:
                found.add(pid)
                grew = True
    return sorted(found)


def cpu_seconds(pids: list[int]) -> float:
    """Return user+system time, with that of children already waited for."""
    total = 0
    for pid in tree(pids):
        try:
            total += sum(map(int, _statistics(pid)[11:15]))
        except OSError:
            continue
    return total / TICKS


def rss_mib(pids: list[int]) -> float:
    total = 0
    for pid in tree(pids):
        try:
            with open(f"/proc/{pid}/statm") as file:
                total += int(file.read().split()[1]) * PAGE
        except OSError:
            continue
    return total / 2**20


def machine_busy() -> float:
    """Return CPU seconds the machine has been busy since boot, steal included."""
    with open("/proc/stat") as file:
        values = list(map(int, file.readline().split()[1:9]))
    user, nice, system, _idle, _iowait, irq, soft, steal = values
    return (user + nice + system + irq + soft + steal) / TICKS


def wait_quiet(limit_pct: float, timeout: float) -> bool:
    """Wait until everything together uses less than `limit_pct` of one core."""
    end, calm = time.monotonic() + timeout, 0
    while time.monotonic() < end:
        before = machine_busy()
        time.sleep(1)
        calm = calm + 1 if (machine_busy() - before) * 100 < limit_pct else 0
        if calm >= 2:
            return True
    return False
