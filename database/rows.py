"""Read, insert and update rows with statements that are put together once.

Django compiles its SQL anew at each call, and that costs three times what the
statement itself does; opening and ending a turn is where it shows (figures in
benchmarks/README.md). Everywhere else, the ORM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Field, Model, QuerySet, Value
from django.db.models.query import get_related_populators

M = TypeVar("M", bound=Model)


class Given(Value):
    """Stands in the queryset of a `Select` for a value that each call brings."""

    def __init__(self, name: str, field: Field[Any, Any]) -> None:
        super().__init__(name, output_field=field)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [self]

    def of(self, values: Mapping[str, Any]) -> Any:
        """Return the value of this name as the database in use takes it."""
        return self.output_field.get_db_prep_value(values[self.value], connection)


class Select(Generic[M]):
    """A queryset whose SQL is put together once, when it is first used.

    `build` is called then, and in the same transaction; what it does not mark as
    `Given` stays as it was. Related objects come by `select_related`.
    """

    def __init__(self, build: Callable[[], QuerySet[M]]) -> None:
        self._build = build

    def first(self, **values: Any) -> M | None:
        """Return the object of the first row, or None."""
        sql, parameters = self._compiled.statement
        given = [p.of(values) if isinstance(p, Given) else p for p in parameters]
        with connection.cursor() as cursor:
            cursor.execute(sql, given)
            row = cursor.fetchone()
        return None if row is None else self._compiled.instance(row)

    @cached_property
    def _compiled(self) -> _Compiled[M]:
        return _Compiled(self._build())


class _Compiled(Generic[M]):
    """What Django's `ModelIterable` finds out anew at each call."""

    def __init__(self, queryset: QuerySet[M]) -> None:
        compiler = queryset.query.get_compiler(connection.alias)
        self.statement: tuple[str, Sequence[Any]] = compiler.as_sql()
        columns = [column for column, _sql, _alias in compiler.select]
        self._converters = compiler.get_converters(columns)
        self._convert = compiler.apply_converters
        assert compiler.klass_info is not None
        own = compiler.klass_info["select_fields"]
        self._own = slice(own[0], own[-1] + 1)
        self._names = [column.target.attname for column in columns[self._own]]
        self._from_db = compiler.klass_info["model"].from_db
        self._related = get_related_populators(  # type: ignore[call-arg]
            compiler.klass_info, compiler.select, connection.alias
        )

    def instance(self, row: Sequence[Any]) -> M:
        if self._converters:
            (row,) = self._convert([row], self._converters)
        found: M = self._from_db(connection.alias, self._names, row[self._own])
        for related in self._related:
            related.populate(row, found)
        return found


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
