"""Run Django's deployment checks on the project as production would configure it."""

import secrets
import subprocess
import sys
from pathlib import Path

from config.environment import BASE_DIR
from config.testing.server import bare_environment


def production_environment(directory: Path) -> dict[str, str]:
    """Return what an operator would set behind a proxy that speaks HTTPS."""
    return {
        **bare_environment(),
        "DEBUG": "false",
        "VAR_DIR": str(directory),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "JWT_SECRET": secrets.token_urlsafe(48),
        "ALLOWED_HOSTS": "chat.example.org",
        "PUBLIC_URL": "https://chat.example.org",
        "TRUSTED_PROXY_HOPS": "1",
        "DATABASE_URL": "postgresql://tertulia@127.0.0.1:9/tertulia",
    }


def main() -> None:
    command = ["manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    environment = production_environment(BASE_DIR / "var")
    done = subprocess.run([sys.executable, *command], cwd=BASE_DIR, env=environment)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
