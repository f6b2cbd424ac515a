"""What the page of numbers says, for tests that count."""

import re

from database import metrics


def numbers(page: str = "") -> dict[str, float]:
    """Return each series of `page`, or of this process, with its labels in order."""
    lines = (page or metrics.page().decode()).splitlines()
    series = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _space, value in series}


def grown(before: dict[str, float]) -> dict[str, float]:
    """Return by how much each of our counts has grown since."""
    now = numbers()
    return {
        name: now[name] - before.get(name, 0)
        for name in now
        if re.match(r"tertulia_\w+_(total|count)\b", name)
        and now[name] != before.get(name, 0)
    }


def documented(page: str) -> set[str]:
    """Return the names of the metrics of a page."""
    return set(re.findall(r"^# HELP (\S+)", page, re.MULTILINE))
