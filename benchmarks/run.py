"""`make bench`: measure this server beside a raw proxy and no server at all.

Starts the fake model server, the raw proxy, PostgreSQL and `manage.py serve`, runs the
scenarios against each, and prints a table with targets, figures and ratios.
Everything shares the machine's cores; use the ratios.

    make bench                  everything, about fifteen minutes
    make bench ARGS="--quick"   one repetition of the scenarios with a target
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import rss_mib
from benchmarks.report import Figures, as_markdown
from config.testing import Postgres, Server, free_port

ROOT = Path(__file__).resolve().parent.parent
RETRIES = 3


class Scenario(NamedTuple):
    model: str
    streams: int
    ramp: float
    repeat: int


SCENARIOS = {
    "S1": Scenario("fake-t200-r50-n300", 1, 0, 3),
    "S2": Scenario("fake-t200-r50-n300", 50, 1, 3),
    "S3": Scenario("fake-t200-r20-n200", 200, 1, 3),
    "S4": Scenario("fake-t0-r0-n5000", 1, 0, 5),
    "S5": Scenario("fake-t0-r0-n10", 200, 0, 3),
}
TURNS = 20  # how often a turn is opened in a conversation with a history
HISTORIES = (10, 100_000)


class Bench:
    """The processes that are up, and what was measured with them."""

    def __init__(self, args: argparse.Namespace, directory: Path) -> None:
        self.args, self.directory = args, directory
        self.figures: Figures = {}
        self.llm_port, self.raw_port = free_port(), free_port()
        self.upstream = f"http://127.0.0.1:{self.llm_port}"
        self.pids: dict[str, int] = {}

    @contextlib.contextmanager
    def program(self, name: str, command: list[str], **more: str) -> Iterator[None]:
        with open(self.directory / f"{name}.log", "w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env={**os.environ, **more},
                stdout=log,
                stderr=log,
            )
        self.pids[name] = process.pid
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)

    def fake_model(self) -> contextlib.AbstractContextManager[None]:
        command = ["benchmarks.fakellm", "--port", str(self.llm_port)]
        return self.program("llm", command)

    def raw_proxy(self) -> contextlib.AbstractContextManager[None]:
        command = ["uvicorn", "benchmarks.rawproxy:app", "--log-level", "warning"]
        command += ["--port", str(self.raw_port)]
        return self.program("raw", command, UPSTREAM=self.upstream)

    def server(self, name: str, database: str) -> Server:
        directory = self.directory / name
        directory.mkdir()
        return Server(
            directory,
            **({"DATABASE_URL": database} if database else {}),
            LLM_PROVIDER="openai",
            OPENAI_API="chat",
            OPENAI_BASE_URL=f"{self.upstream}/v1",
            OPENAI_API_KEY="fake",
            CHAT_RATE="100000/m",
            DAILY_UNITS_LIMIT="1000000000",
            LLM_MAX_OUTPUT_TOKENS="20000",
            ACCESS_TOKEN_MINUTES="600",
        )

    def measure_start(self, name: str, server: Server) -> None:
        """Start it twice: once to prepare its database, once to be measured."""
        server.start()
        server.interrupt()
        seconds = server.start()
        time.sleep(3)
        self.figures[f"{name}-start"] = {
            "seconds": seconds,
            "rss_mib": rss_mib([server.pid]),
        }

    def accounts(self, server: Server, scenario: Scenario, history: int) -> Path:
        command = ["--model", scenario.model, "--users", str(scenario.streams)]
        command += ["--conversations", str(scenario.repeat + RETRIES)]
        command += ["--history", str(history)]
        made = subprocess.run(
            [sys.executable, "-m", "benchmarks.prepare", *command],
            cwd=ROOT,
            env=server.environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        path = self.directory / "accounts"
        path.write_bytes(made.stdout)
        return path

    def measure(
        self,
        name: str,
        target: str,
        url: str,
        scenario: Scenario,
        pids: dict[str, int],
        accounts: Path | None = None,
        is_noisy: bool = False,
    ) -> None:
        out = self.directory / f"{name}.json"
        command = ["--name", name, "--target", target, "--url", url, "--out", str(out)]
        command += ["--model", scenario.model, "--streams", str(scenario.streams)]
        command += ["--ramp", str(scenario.ramp), "--repeat", str(scenario.repeat)]
        command += ["--retries", str(RETRIES)]
        for group, pid in pids.items():
            command += ["--pid", f"{group}={pid}"]
        if accounts:
            command += ["--accounts", str(accounts)]
        if is_noisy or self.args.noisy:
            command += ["--quiet", "0", "--foreign-limit", "1000"]
        load = [sys.executable, "-m", "benchmarks.load", *command]
        subprocess.run(load, cwd=ROOT, check=True)
        self.figures[name] = json.loads(out.read_text())["summary"]

    def scenarios(self) -> dict[str, Scenario]:
        wanted = self.args.only or ([*SCENARIOS][1:] if self.args.quick else SCENARIOS)
        chosen = {name: SCENARIOS[name] for name in wanted}
        if self.args.quick:
            return {name: one._replace(repeat=1) for name, one in chosen.items()}
        return chosen

    def measure_peers(self) -> None:
        for name, scenario in self.scenarios().items():
            pids = {"llm": self.pids["llm"]}
            url = f"{self.upstream}/v1"
            self.measure(f"direct-{name}", "openai", url, scenario, pids)
            pids = {"sut": self.pids["raw"], **pids}
            url = f"http://127.0.0.1:{self.raw_port}/v1"
            self.measure(f"raw-{name}", "openai", url, scenario, pids)

    def measure_server(
        self, prefix: str, target: str, server: Server, names: list[str], **pids: int
    ) -> None:
        for name, scenario in self.scenarios().items():
            if name in names:
                self.measure(
                    f"{prefix}-{name}",
                    target,
                    server.url,
                    scenario,
                    {"sut": server.pid, "llm": self.pids["llm"], **pids},
                    self.accounts(server, scenario, history=0),
                )

    def measure_histories(self, server: Server) -> None:
        """Open turns one by one in conversations that are short and long."""
        scenario = Scenario("fake-t0-r0-n10", 1, 0, TURNS)
        for history in HISTORIES:
            accounts = self.accounts(server, scenario, history)
            pids = {"sut": server.pid}
            name = f"history-{history}"
            # Each lasts some milliseconds; what the machine does besides shows in
            # the spread, and the median is reported.
            self.measure(
                name, "tertulia-ws", server.url, scenario, pids, accounts, is_noisy=True
            )

    def run(self) -> None:
        with self.fake_model(), self.raw_proxy():
            time.sleep(1.5)
            if not self.args.no_peers:
                self.measure_peers()
            every = list(SCENARIOS)
            with Postgres(durable=True) as postgres:
                server = self.server("postgres", postgres.url())
                self.measure_start("pg", server)
                with contextlib.closing(_Killed(server)):
                    database = {"pg": postgres.pid}
                    ws, sse = "tertulia-ws", "tertulia-sse"
                    self.measure_server("ws", ws, server, every, **database)
                    self.measure_server("sse", sse, server, ["S2"], **database)
                    self.measure_histories(server)
            server = self.server("sqlite", "")
            self.measure_start("sqlite", server)
            with contextlib.closing(_Killed(server)):
                self.measure_server("sqlite", "tertulia-ws", server, ["S2", "S5"])
                self.figures["sqlite-locked"] = {
                    "lines": server.log.count("database is locked")
                }


class _Killed:
    def __init__(self, server: Server) -> None:
        self.server = server

    def close(self) -> None:
        self.server.kill()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one repetition, without S1")
    add("--only", nargs="+", choices=SCENARIOS, help="these scenarios")
    add("--no-peers", action="store_true", help="only this server: no ratios")
    add("--noisy", action="store_true", help="measure on a machine that is busy too")
    args = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="tertulia-bench-"))
    bench = Bench(args, directory)
    bench.run()
    table = as_markdown(bench.figures)
    kept = ROOT / "var" / "bench"
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "figures.json").write_text(json.dumps(bench.figures, indent=1))
    (kept / "report.md").write_text(table)
    print(f"\n{table}\nKept in {kept}; logs in {directory}.")


if __name__ == "__main__":
    main()
