"""Measure what a chat server adds on top of the model server behind it.

Opens N concurrent streams against a server whose upstream is `fakellm` on the same
machine, reads the CLOCK_MONOTONIC stamps that fakellm puts in every token, and reports

  before      upstream had the request - client sent it    (sign-in, history, saving)
  ttft_added  client-seen time to first token - upstream's own
  lat         client received a token - upstream wrote it  (p50, p95, p99 of all tokens)
  cpu/1k      CPU ms (user+system, with children) of each --pid group per 1000 tokens
  rss         resident memory of each group after the run, and its peak
  foreign     CPU used by anything else on the machine, in % of one core; a run above
              --foreign-limit is thrown away and repeated, up to --retries times

Before each run it waits (--quiet) until the machine is idle.

    python -m benchmarks.load --target openai --url http://127.0.0.1:9100/v1 \\
        --model fake-t200-r50-n300 --streams 50 --ramp 1 --pid sut=1234 --name direct-S2

--accounts names a file with one JSON object per line, used round-robin: a token, and a
fresh conversation for each run (see prepare.py).
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from pathlib import Path
from time import monotonic_ns
from typing import Any

import aiohttp

from benchmarks.machine import cpu_seconds, machine_busy, rss_mib, run_fast, wait_quiet
from benchmarks.targets import TARGETS, Account, Stream, Target

GOLDEN = 0.6180339887  # spreads starts so that no set of streams ticks in phase
TOGETHER = 20  # how many clients open or close at a time

Groups = dict[str, list[int]]
Run = dict[str, Any]


def percentile(ordered: list[int], q: float) -> float:
    """Return a percentile of nanoseconds in milliseconds."""
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] / 1e6


def accounts_of(args: argparse.Namespace) -> list[Account]:
    if not args.accounts:
        return [Account()]
    lines = Path(args.accounts).read_text().splitlines()
    return [Account(**json.loads(line)) for line in lines]


def groups_of(args: argparse.Namespace) -> Groups:
    groups: Groups = {}
    for item in args.pid:
        name, _, pid = item.rpartition("=")
        groups.setdefault(name or "sut", []).append(int(pid))
    return groups


def tokens_of(model: str) -> int:
    """Return how many tokens a fake model writes: `fake-t0-r0-n10` writes ten."""
    return int(model.rpartition("-n")[2])


async def in_turns(work: list[Any]) -> None:
    for i in range(0, len(work), TOGETHER):
        await asyncio.gather(*work[i : i + TOGETHER])


async def one_run(args: argparse.Namespace, groups: Groups, number: int | None) -> Run:
    """Run every stream once; `number` chooses each account's conversation."""
    accounts = accounts_of(args)
    peak = dict.fromkeys(groups, 0.0)
    streams: list[Stream] = []

    async def watch() -> None:
        while True:
            for name, pids in groups.items():
                peak[name] = max(peak[name], rss_mib(pids))
            await asyncio.sleep(1)

    async def client(i: int, user: Target) -> None:
        stream = Stream()
        streams.append(stream)
        await asyncio.sleep(args.ramp * (i * GOLDEN % 1))
        try:
            await asyncio.wait_for(user.run(stream), args.timeout)
        except Exception as error:  # counted and shown, never fatal
            stream.error = f"{type(error).__name__}: {error}"[:200]
        stream.ended = monotonic_ns()

    def user(session: aiohttp.ClientSession, i: int) -> Target:
        account = accounts[i % len(accounts)]
        if number is None:
            conversation = account.warmup
        else:
            conversation = (account.conversations or [""] * (number + 1))[number]
        return TARGETS[args.target](session, args, account, conversation)

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        read_bufsize=2**20,
    ) as session:
        users = [user(session, i) for i in range(args.streams)]
        await in_turns([user.open() for user in users])
        await asyncio.sleep(args.settle)
        watcher = asyncio.ensure_future(watch())
        cpu = {name: cpu_seconds(pids) for name, pids in groups.items()}
        own, busy, begun = time.process_time(), machine_busy(), monotonic_ns()
        await asyncio.gather(*(client(i, user) for i, user in enumerate(users)))
        wall = (monotonic_ns() - begun) / 1e9
        await asyncio.sleep(args.linger)  # work still done after the last token
        watcher.cancel()
        cpu = {name: cpu_seconds(pids) - cpu[name] for name, pids in groups.items()}
        own, busy = time.process_time() - own, machine_busy() - busy
        await in_turns([user.close() for user in users])
    result = seen(streams, wall)
    result["missing"] = args.streams * tokens_of(args.model) - result["tokens"]
    count = result["tokens"] or float("nan")
    foreign = max(0.0, busy - own - sum(cpu.values()))
    return {
        **result,
        "cpu_s": cpu,
        "cpu_ms_per_1k": {name: 1e6 * used / count for name, used in cpu.items()},
        "client_cpu_s": own,
        "foreign_pct": 100 * foreign / (wall + args.linger),
        "rss_mib": {name: rss_mib(pids) for name, pids in groups.items()},
        "rss_peak_mib": peak,
        "load1": os.getloadavg()[0],
    }


def seen(streams: list[Stream], wall: float) -> Run:
    """Return what the clients together saw."""
    count = sum(stream.count for stream in streams)
    reached = [s for s in streams if s.first and s.upstream_received]
    lat = sorted(value for stream in streams for value in stream.latencies)
    before = sorted(s.upstream_received - s.sent for s in reached)
    added = sorted(
        (s.first - s.sent) - (s.upstream_first - s.upstream_received) for s in reached
    )
    errors: dict[str, int] = {}
    for stream in streams:
        if stream.error:
            errors[stream.error] = errors.get(stream.error, 0) + 1
    return {
        "streams": len(streams),
        "tokens": count,
        "failed": sum(errors.values()),
        "errors": errors,
        "messages": sum(stream.messages for stream in streams),
        "wall_s": wall,
        "tokens_per_s": count / wall,
        "before_p50": percentile(before, 0.5),
        "before_p95": percentile(before, 0.95),
        "before_max": percentile(before, 1),
        "ttft_added_p50": percentile(added, 0.5),
        "ttft_added_p95": percentile(added, 0.95),
        "ttft_added_max": percentile(added, 1),
        "lat_p50": percentile(lat, 0.5),
        "lat_p95": percentile(lat, 0.95),
        "lat_p99": percentile(lat, 0.99),
        "lat_max": percentile(lat, 1),
    }


def flat(result: Run, prefix: str = "") -> dict[str, float]:
    out = {}
    for key, value in result.items():
        if isinstance(value, dict) and key != "errors":
            out.update(flat(value, f"{prefix}{key}."))
        elif isinstance(value, (int, float)):
            out[prefix + key] = value
    return out


def summary(runs: list[Run]) -> dict[str, dict[str, float]]:
    keys = list(dict.fromkeys(key for run in runs for key in flat(run)))
    table = {key: [flat(run)[key] for run in runs if key in flat(run)] for key in keys}
    return {
        key: {"median": statistics.median(v), "min": min(v), "max": max(v)}
        for key, v in table.items()
    }


def show(name: str, total: dict[str, dict[str, float]]) -> None:
    def cell(key: str, digits: int = 2) -> str:
        v = total.get(key)
        if v is None:
            return "-"
        return "{:.{d}f} ({:.{d}f}-{:.{d}f})".format(
            v["median"], v["min"], v["max"], d=digits
        )

    def cells(kind: str, digits: int) -> str:
        keys = [key for key in total if key.startswith(f"{kind}.")]
        return "  ".join(f"{key.split('.')[1]}:{cell(key, digits)}" for key in keys)

    print(
        f"== {name}\n"
        f"   ttft_added p50 {cell('ttft_added_p50')} p95 {cell('ttft_added_p95')}"
        f"  before p50 {cell('before_p50')} ms\n"
        f"   lat p50 {cell('lat_p50')}  p95 {cell('lat_p95')}  p99 {cell('lat_p99')} ms"
        f"   tok/s {cell('tokens_per_s', 0)}  msgs {cell('messages', 0)}\n"
        f"   cpu ms/1k  {cells('cpu_ms_per_1k', 1)}   rss MiB  {cells('rss_mib', 0)}"
        f"   foreign% {cell('foreign_pct', 0)}",
        flush=True,
    )


async def measure(args: argparse.Namespace) -> None:
    groups, thrown = groups_of(args), 0
    runs: list[Run] = []
    if args.warmup:
        few = {"streams": min(args.warmup, args.streams), "ramp": 0, "linger": 0}
        warm = {**vars(args), **few, "model": args.warmup_model}
        await one_run(argparse.Namespace(**warm), groups, None)
    while len(runs) < args.repeat:
        quiet = wait_quiet(args.quiet, args.quiet_timeout) if args.quiet else None
        result = await one_run(args, groups, len(runs) + thrown)
        result["quiet_before"] = quiet
        foreign = result["foreign_pct"]
        if foreign > args.foreign_limit and thrown < args.retries:
            thrown += 1
            print(f"   (thrown away: {foreign:.0f}% of a core used by others)")
            continue
        if result["errors"] or result["missing"]:
            errors = json.dumps(result["errors"])[:600]
            print(f"   errors: {errors} missing: {result['missing']}", flush=True)
        runs.append(result)
    total = summary(runs)
    show(args.name, total)
    if args.out:
        report = {"name": args.name, "args": vars(args), "thrown_away": thrown}
        keep(args.out, {**report, "runs": runs, "summary": total})


def keep(path: str, report: dict[str, Any]) -> None:
    Path(path).write_text(json.dumps(report, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--target", choices=TARGETS, required=True)
    add("--url", required=True)
    add("--accounts", help="file with one account per line")
    add("--deflate", action="store_true", help="offer permessage-deflate")
    add("--pid", action="append", default=[], metavar="GROUP=PID", help="to account")
    add("--name", default="run")
    add("--out", help="write JSON here")
    add("--model", default="fake-t200-r50-n300")
    add("--prompt", default="Please tell me something about benchmarks.")
    add("--streams", type=int, default=1)
    add("--ramp", type=float, default=0, help="spread the starts over so many seconds")
    add("--repeat", type=int, default=3)
    add("--timeout", type=float, default=180, help="seconds until one is given up")
    add("--settle", type=float, default=0.3)
    add("--linger", type=float, default=0.5)
    add("--warmup", type=int, default=5, help="streams of the warm-up run, 0: none")
    add("--warmup-model", default="fake-t0-r0-n10")
    add("--quiet", type=float, default=10, help="wait for so much idleness, 0: do not")
    add("--quiet-timeout", type=float, default=60)
    add("--foreign-limit", type=float, default=15)
    add("--retries", type=int, default=3)
    run_fast(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
