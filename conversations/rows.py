"""Insert rows with a statement that is put together once per model.

`bulk_create` compiles its SQL anew at each call, which costs four times what the
statement itself does; opening a turn is where that shows.
"""

from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import Model


def insert(*rows: Model) -> None:
    """Insert `rows`, all of one model and complete with their primary keys."""
    model = type(rows[0])
    fields = model._meta.concrete_fields
    values: list[Any] = []
    for row in rows:
        for field in fields:
            value = field.pre_save(row, add=True)
            values.append(field.get_db_prep_save(value, connection))
    with connection.cursor() as cursor:
        cursor.execute(_statement(model, len(rows)), values)
    for row in rows:
        row._state.adding = False
        row._state.db = connection.alias


@lru_cache
def _statement(model: type[Model], count: int) -> str:
    quote = connection.ops.quote_name
    columns = [quote(str(field.column)) for field in model._meta.concrete_fields]
    row = f"({', '.join(['%s'] * len(columns))})"
    return (
        f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(columns)}) "  # noqa: S608  names of our own
        f"VALUES {', '.join([row] * count)}"
    )
