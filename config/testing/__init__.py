"""Real servers for tests and measurements, started and stopped by themselves.

Nothing the product runs imports this package.
"""

from config.testing.databases import Postgres, Redis, free_port
from config.testing.server import Server

__all__ = ["Postgres", "Redis", "Server", "free_port"]
