"""Every operation of the API, and a body each takes, read from the OpenAPI document.

What is generated from this covers an operation on the day it is added.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator

PREFIX = "/api/v1"
JSON = "application/json"
MULTIPART = "multipart/form-data"


@dataclass(frozen=True)
class Operation:
    method: str
    #: Below PREFIX, with its parameters: "/conversations/{id}".
    path: str
    spec: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def content(self) -> Mapping[str, Any]:
        """What kinds of body it takes; none for an operation without one."""
        return self.spec.get("requestBody", {}).get("content", {})

    @property
    def content_type(self) -> str:
        return MULTIPART if MULTIPART in self.content else JSON

    @property
    def fields(self) -> Mapping[str, Any]:
        """The schema of each field of its JSON body that a client may send."""
        return {
            name: schema
            for name, schema in self._body().get("properties", {}).items()
            if not resolved(schema).get("readOnly")
        }

    @property
    def required(self) -> list[str]:
        return [
            name for name in self._body().get("required", ()) if name in self.fields
        ]

    def address(self, value: str) -> str:
        """Return its path with `value` for each parameter."""
        return PREFIX + re.sub(r"{\w+}", value, self.path)

    def _body(self) -> Mapping[str, Any]:
        return resolved(self.content.get(JSON, {}).get("schema", {}))


@cache
def document() -> Mapping[str, Any]:
    return SchemaGenerator().get_schema(public=True)


@cache
def operations() -> tuple[Operation, ...]:
    return tuple(
        Operation(method.upper(), path.removeprefix(PREFIX), spec)
        for path, methods in document()["paths"].items()
        for method, spec in methods.items()
    )


def with_json() -> Iterator[Operation]:
    """Yield the operations that take a JSON body."""
    return (operation for operation in operations() if JSON in operation.content)


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `schema` with its reference, also inside a sole `allOf`, followed."""
    own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
    for part in schema.get("allOf", ()):
        own = {**resolved(part), **own}
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        own = {**resolved(document()["components"]["schemas"][name]), **own}
    return own


def sample(name: str, schema: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """Return a value the field takes: a known one, or the plainest of its type."""
    if name in known:
        return known[name]
    schema = resolved(schema)
    for choice in schema.get("oneOf", ()):
        if value := sample("", choice, {}):
            return value
    if "enum" in schema:
        return schema["enum"][0]
    if "default" in schema:
        return schema["default"]
    match schema.get("type"):
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "array":
            return []
        case "object":
            return {}
    return {"uri": "https://example.org/", "date": "1990-05-17"}.get(
        schema.get("format", ""), "text"
    )
