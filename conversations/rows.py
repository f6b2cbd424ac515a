"""Insert and update rows with statements that are put together once.

Django compiles its SQL anew at each call, and that costs three times what the
statement itself does; opening and ending a turn is where it shows (figures in
benchmarks/README.md). Everywhere else, the ORM.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import Field, Model


def insert(*rows: Model) -> None:
    """Insert `rows`, all of one model and complete with their primary keys."""
    model = type(rows[0])
    fields = model._meta.concrete_fields
    values = [
        field.get_db_prep_save(field.pre_save(row, add=True), connection)
        for row in rows
        for field in fields
    ]
    with connection.cursor() as cursor:
        cursor.execute(_insert(model, len(rows)), values)
    for row in rows:
        row._state.adding = False
        row._state.db = connection.alias


def update(
    model: type[Model], where: Mapping[str, Any], values: Mapping[str, Any]
) -> int:
    """Set `values` in the rows that equal `where`; return how many those were.

    Both by the names of columns: `head_id`, not `head`.
    """
    fields = _fields(model)
    parameters = [
        fields[name].get_db_prep_save(value, connection)
        for given in (values, where)
        for name, value in given.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(_update(model, tuple(values), tuple(where)), parameters)
        return int(cursor.rowcount)


@lru_cache
def _fields(model: type[Model]) -> dict[str, Field[Any, Any]]:
    return {field.attname: field for field in model._meta.concrete_fields}


@lru_cache
def _insert(model: type[Model], count: int) -> str:
    columns = [_quoted(str(field.column)) for field in model._meta.concrete_fields]
    row = f"({', '.join(['%s'] * len(columns))})"
    into = f"INSERT INTO {_quoted(model._meta.db_table)} ({', '.join(columns)})"
    return f"{into} VALUES {', '.join([row] * count)}"


@lru_cache
def _update(model: type[Model], values: tuple[str, ...], where: tuple[str, ...]) -> str:
    fields = _fields(model)
    changes, terms = (
        [f"{_quoted(str(fields[name].column))} = %s" for name in names]
        for names in (values, where)
    )
    table = f"UPDATE {_quoted(model._meta.db_table)}"
    return f"{table} SET {', '.join(changes)} WHERE {' AND '.join(terms)}"


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
