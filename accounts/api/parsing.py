"""JSON as every endpoint reads it: only what every database and client can hold."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

#: PostgreSQL refuses NUL, and half a surrogate pair cannot be written as UTF-8.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class StrictJSONParser(JSONParser):
    """Refuse, for all fields and inside free-form ones, what would break later."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            data = super().parse(stream, media_type, parser_context)
            values = list(_scalars(data))
        except RecursionError:
            raise ParseError(_("This JSON is nested too deeply.")) from None
        for value in values:
            if isinstance(value, str) and UNSTORABLE.search(value):
                raise ParseError(_("Text cannot contain NUL or half a surrogate pair."))
            if isinstance(value, float) and not math.isfinite(value):
                raise ParseError(_("A number is too large."))
        return data


def _scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _scalars(item)
    elif isinstance(value, list):
        for item in value:
            yield from _scalars(item)
    else:
        yield value
