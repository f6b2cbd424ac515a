"""The product itself as a real process, to be killed and restarted by tests."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError
from urllib.request import Request, urlopen

from config.environment import BASE_DIR
from config.testing.databases import free_port

PASSWORD = "correct-horse-battery-staple"

#: Servers that are up, for whoever ends this process before its time.
running: "set[Server]" = set()


class Server:
    """`manage.py serve` on a free port with a `var/` of its own.

    `environment` is added to what the product reads; DATABASE_URL missing means
    SQLite in its own `var/`.
    """

    def __init__(self, directory: Path | None = None, **environment: str) -> None:
        self.directory = directory or Path(tempfile.mkdtemp(prefix="tertulia-serve-"))
        self.port = int(environment.get("PORT") or free_port())
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment: dict[str, str] = {
            **bare_environment(),
            "LLM_PROVIDER": "demo",
            "VAR_DIR": str(self.directory / "var"),
            **environment,
            "PORT": str(self.port),
        }
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
        self.kill()

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything it wrote to standard output and error, over all its starts."""
        return (self.directory / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, timeout: float = 30) -> float:
        """Start it, wait until it answers, and return how many seconds that took."""
        begun = time.monotonic()
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=BASE_DIR,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        running.add(self)
        while not self.is_healthy():
            if self.process.poll() is not None:
                raise RuntimeError(f"The server ended at its start:\n{self.log}")
            if time.monotonic() - begun > timeout:
                self.kill()
                raise RuntimeError(f"The server does not answer:\n{self.log}")
            time.sleep(0.02)
        return time.monotonic() - begun

    def is_healthy(self) -> bool:
        try:
            with urlopen(f"{self.url}/health", timeout=5) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False

    def restart(self) -> float:
        self.terminate()
        return self.start()

    def terminate(self, timeout: float = 40) -> int:
        """Ask it to drain and end (SIGTERM) and return its exit code."""
        return self._end(signal.SIGTERM, timeout)

    def interrupt(self, timeout: float = 40) -> int:
        """Press Ctrl-C and return its exit code."""
        return self._end(signal.SIGINT, timeout)

    def kill(self) -> None:
        """Take it away without warning (SIGKILL)."""
        self._end(signal.SIGKILL, 10)

    def _end(self, how: signal.Signals, timeout: float) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        running.discard(self)
        process.send_signal(how)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def post(self, path: str, body: Any, token: str = "") -> Any:
        """Send JSON to the API and return the JSON it answers with."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = json.dumps(body).encode()
        request = Request(f"{self.url}/api/v1{path}", data, headers)
        with urlopen(request, timeout=30) as response:
            return json.load(response)

    def sign_up(
        self, email: str = "alice@example.org", birthdate: str = "1990-01-01"
    ) -> str:
        """Register somebody and return an access token."""
        known = {"email": email, "password": PASSWORD}
        self.post("/auth/register", {**known, "birthdate": birthdate})
        token: str = self.post("/auth/login", known)["access_token"]
        return token

    def manage(self, *arguments: str) -> str:
        """Run another management command on its database and return the output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE_DIR,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{arguments} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def shell(self, code: str) -> str:
        """Run Python with the product set up on its database; return what it prints."""
        return self.manage("shell", "--no-imports", "-c", code)


def bare_environment(inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return `inherited` without anything that configures the product."""
    names = configured_names()
    kept = {key: value for key, value in inherited.items() if key not in names}
    return {**kept, "ENV_FILE": os.devnull, "PYTHONUNBUFFERED": "1"}


def configured_names() -> set[str]:
    """Return the name of every variable that `.env.example` explains."""
    lines = (BASE_DIR / ".env.example").read_text().splitlines()
    names = (line.lstrip("# ").partition("=") for line in lines if "=" in line)
    return {name for name, _, _ in names if name.isupper() and " " not in name}
