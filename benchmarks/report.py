"""Turn figures into the table that says what was promised and what was reached."""

from collections.abc import Iterator
from typing import Any

#: run → figure → value, or its median, minimum and maximum
Figures = dict[str, dict[str, Any]]


def value(figures: Figures, run: str, key: str) -> float | None:
    found = figures.get(run, {}).get(key)
    return found["median"] if isinstance(found, dict) else found


def _row(name: str, target: str, reached: str, beside: str, is_met: bool | None) -> str:
    mark = {True: "yes", False: "**no**", None: ""}[is_met]
    return f"| {name} | {target} | {reached} | {beside} | {mark} |"


def _ratio(
    figures: Figures, name: str, key: str, run: str, peer: str, limit: float, up: bool
) -> Iterator[str]:
    """Yield a row that compares `run` with `peer`; `up`: more is better."""
    own, other = value(figures, run, key), value(figures, peer, key)
    if own is None:
        return
    target = f"{'≥' if up else '≤'} {limit:g} × {peer.rpartition('-')[0]}"
    if not other:
        yield _row(name, target, f"{own:,.1f}", "not measured", None)
        return
    ratio = own / other
    is_met = ratio >= limit if up else ratio <= limit
    yield _row(name, target, f"{own:,.1f} = {ratio:.2f} ×", f"{other:,.1f}", is_met)


def _limit(
    figures: Figures, name: str, key: str, run: str, limit: float, unit: str
) -> Iterator[str]:
    own = value(figures, run, key)
    if own is None:
        return
    peer = value(figures, f"raw-{run.rpartition('-')[2]}", key)
    beside = "" if peer is None else f"{peer:,.1f} {unit} (raw)"
    target = f"≤ {limit:g} {unit}"
    yield _row(name, target, f"{own:,.2f} {unit}", beside, own <= limit)


def _no_error(figures: Figures, name: str, run: str) -> Iterator[str]:
    found = figures.get(run, {})
    if "failed" in found:
        failed, missing = (int(found[key]["max"]) for key in ("failed", "missing"))
        reached = f"{failed} failed, {missing} tokens missing"
        yield _row(name, "no error", reached, "", not failed and not missing)


def rows(figures: Figures) -> Iterator[str]:
    cpu = "cpu_ms_per_1k.sut"
    for run, note in (("ws", ""), ("sse", ", SSE"), ("sqlite", ", SQLite")):
        name = f"S2{note}"
        own = f"{run}-S2"
        yield from _ratio(
            figures, f"{name}: CPU ms per 1000 tokens", cpu, own, "raw-S2", 3.5, False
        )
        first = f"{name}: added time to first token, p95"
        yield from _limit(figures, first, "ttft_added_p95", own, 25, "ms")
        token = f"{name}: added latency per token, p50"
        yield from _limit(figures, token, "lat_p50", own, 20, "ms")
        yield from _no_error(figures, f"{name}: 50 streams", own)
    speed = "tokens_per_s"
    yield from _ratio(
        figures, "S3: tokens/s of 200 streams", speed, "ws-S3", "direct-S3", 0.97, True
    )
    yield from _no_error(figures, "S3: 200 streams", "ws-S3")
    yield from _ratio(
        figures, "S4: tokens/s of one stream", speed, "ws-S4", "raw-S4", 0.3, True
    )
    yield from _no_error(figures, "S4: one stream", "ws-S4")
    for run, note in (("ws", ""), ("sqlite", ", SQLite")):
        name = f"S5{note}: 200 turns at once, p95 added"
        yield from _limit(figures, name, "ttft_added_p95", f"{run}-S5", 1000, "ms")
        yield from _no_error(figures, f"S5{note}: 200 turns", f"{run}-S5")
    for run, note in (("pg", "PostgreSQL"), ("sqlite", "SQLite")):
        name = f"memory at rest, {note}"
        yield from _limit(figures, name, "rss_mib", f"{run}-start", 130, "MiB")
        name = f"start to first answer, {note}"
        yield from _limit(figures, name, "seconds", f"{run}-start", 2, "s")
    locked = value(figures, "sqlite-locked", "lines")
    if locked is not None:
        name = "`database is locked` in the log"
        yield _row(name, "none", f"{locked:.0f}", "", locked == 0)
    short = value(figures, "history-10", "before_p50")
    long = value(figures, "history-100000", "before_p50")
    if short and long:
        name = "opening a turn with 100,000 messages"
        beside = f"{short:.1f} ms with 10"
        yield _row(name, "the same", f"{long:.1f} ms", beside, long < 1.5 * short)


def _cell(run: dict[str, Any], key: str, digits: int) -> str:
    found = run.get(key)
    if found is None:
        return "–"
    median, low, high = (found[name] for name in ("median", "min", "max"))
    return f"{median:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


#: The heading of a column, its figure, and how many digits are worth reading.
COLUMNS: list[tuple[str, str, int]] = [
    ("before p50 ms", "before_p50", 2),
    ("TTFT added p50 ms", "ttft_added_p50", 2),
    ("p95", "ttft_added_p95", 2),
    ("lat p50 ms", "lat_p50", 2),
    ("p95", "lat_p95", 2),
    ("tok/s", "tokens_per_s", 0),
    ("CPU ms/1k", "cpu_ms_per_1k.sut", 1),
    ("of PostgreSQL", "cpu_ms_per_1k.pg", 1),
    ("RSS MiB", "rss_mib.sut", 0),
    ("failed", "failed", 0),
]


def details(figures: Figures) -> Iterator[str]:
    yield "| run | " + " | ".join(heading for heading, _, _ in COLUMNS) + " |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    for name, run in figures.items():
        if "tokens_per_s" in run:
            cells = (_cell(run, key, digits) for _, key, digits in COLUMNS)
            yield f"| {name} | " + " | ".join(cells) + " |"


def as_markdown(figures: Figures) -> str:
    lines: list[str] = [
        "| what | must reach | reached | beside it | met |",
        "|---|---|---|---|---|",
        *rows(figures),
        "",
        "Every run, median (min–max):",
        "",
        *details(figures),
        "",
    ]
    return "\n".join(lines)
