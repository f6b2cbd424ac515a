"""The admin site, with one answer to addresses that mean nothing.

Filters, dates, ids and pages stand in the address, where anybody can write anything.
Django checks some of it and hands the rest to the database; what either of them cannot
read is told apart here from what is broken, for every page at once.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.contrib import admin
from django.core.exceptions import BadRequest, FieldDoesNotExist, ValidationError
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import SimpleTemplateResponse

logger = logging.getLogger("tertulia.app")

#: What is raised for a value that is none of its kind, or no database takes.
UNREADABLE = (
    DataError,
    FieldDoesNotExist,
    OverflowError,
    ValidationError,
    ValueError,
)

#: Parameters that are searched for word by word, and how many words that may be. Each
#: is a condition: thousands take the database seconds, and SQLite refuses them.
SEARCHES = ("q", "term")
MAX_WORDS = 50

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class Site(admin.AdminSite):
    def admin_view(self, view: View, cacheable: bool = False) -> View:
        return super().admin_view(_refusing_unreadable(view), cacheable)


def _refusing_unreadable(view: View) -> View:
    """Answer 400 where a query cannot be read; a fault without a query is ours."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "\0" in kwargs.get("object_id", ""):
            # PostgreSQL would fail; in queries it is refused before (middleware.py).
            raise Http404
        for name in SEARCHES:
            if len(request.GET.get(name, "").split()) > MAX_WORDS:
                raise BadRequest(f"More than {MAX_WORDS} words are not searched for.")
        try:
            answer = view(request, *args, **kwargs)
            # Some of it is read only when the page is made.
            if isinstance(answer, SimpleTemplateResponse):
                answer.render()
        except UNREADABLE as error:
            if not request.GET:
                raise
            # With its traceback, so that a fault of ours stays to be found.
            logger.warning("a query cannot be read", exc_info=error)
            raise BadRequest("This query cannot be read.") from error
        return answer

    return cast(View, checked)
