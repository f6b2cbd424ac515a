"""Numbers of this process, for whoever watches over it.

Each application defines here what it counts and what it can be asked for; `page` is all
of it as Prometheus reads it. What the numbers mean is not known here. One that cannot
be had is missing from the page, and breaks nothing else.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import ParamSpec

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

logger = logging.getLogger("tertulia.app")

#: A number, or one for each combination of labels.
Reading = float | Mapping[tuple[str, ...], float]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

P = ParamSpec("P")

_registry = CollectorRegistry()
# When a series began is of no use, and doubles the page.
disable_created_metrics()


def counter(name: str, meaning: str, *labels: str) -> Counter:
    """Return what counts up; labels take few values, and none that names a person."""
    return Counter(name, meaning, labels, registry=_registry)


def histogram(
    name: str, meaning: str, *labels: str, buckets: tuple[float, ...]
) -> Histogram:
    return Histogram(name, meaning, labels, buckets=buckets, registry=_registry)


def ask(name: str, meaning: str, read: Callable[[], Reading], *labels: str) -> None:
    """Have `read()` asked for a number whenever the page is; from any thread."""

    def collect() -> Iterable[Metric]:
        family = GaugeMetricFamily(name, meaning, labels=labels)
        reading = read()
        values = reading if isinstance(reading, Mapping) else {(): reading}
        for key, value in values.items():
            family.add_metric(key, value)
        return [family]

    _registry.register(_Careful(name, collect))


def harmless(note: Callable[P, None]) -> Callable[P, None]:
    """Make a function that notes something fail without anybody minding."""

    @wraps(note)
    def noted(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            note(*args, **kwargs)
        except Exception:
            logger.exception("a number was not noted", extra={"by": note.__name__})

    return noted


def page() -> bytes:
    """Return all numbers, as CONTENT_TYPE says: whatever is accepted, all read it."""
    return generate_latest(_registry)


class _Careful:
    """What is asked on its own, and may fail alone."""

    def __init__(self, name: str, collect: Callable[[], Iterable[Metric]]) -> None:
        self._name, self._collect = name, collect

    def collect(self) -> Iterable[Metric]:
        try:
            return list(self._collect())
        except Exception:
            logger.exception("a number is missing", extra={"metric": self._name})
            return []


_registry.register(_Careful("process", ProcessCollector(registry=None).collect))
_registry.register(_Careful("python", PlatformCollector(registry=None).collect))
