"""What is in a server's database, read past the product."""

import sqlite3
from contextlib import closing
from typing import Any

import psycopg

from config.testing import Server


def rows(server: Server, query: str) -> list[tuple[Any, ...]]:
    url = server.environment["DATABASE_URL"]
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
            return database.execute(query).fetchall()
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def count(server: Server, table: str, where: str = "1 = 1") -> int:
    return int(rows(server, f"SELECT count(*) FROM {table} WHERE {where}")[0][0])


def messages(server: Server, where: str = "1 = 1") -> int:
    return count(server, "conversations_message", where)


def is_streaming(server: Server) -> bool:
    return messages(server, "status = 'streaming'") > 0


def replies(server: Server) -> list[str]:
    """Return the texts of all replies; greetings were not generated."""
    query = (
        "SELECT content FROM conversations_message JOIN conversations_generation "
        "ON message_id = id ORDER BY conversations_message.created_at"
    )
    return [content for (content,) in rows(server, query)]


def assert_books_balance(server: Server) -> None:
    """Units charged are units recorded, and none is held any more."""
    spent = "coalesce(sum(prompt_tokens + completion_tokens), 0)"
    (by_replies,) = rows(server, f"SELECT {spent} FROM conversations_generation")[0]
    (recorded,) = rows(server, "SELECT coalesce(sum(units), 0) FROM llm_usagerecord")[0]
    used, reserved = rows(
        server,
        "SELECT coalesce(sum(used), 0), coalesce(sum(reserved), 0) FROM llm_dailyusage",
    )[0]
    held = "SELECT coalesce(sum(reserved_units), 0) FROM conversations_generation"
    assert (used, recorded) == (by_replies, by_replies)
    assert (reserved, rows(server, held)[0][0]) == (0, 0)
