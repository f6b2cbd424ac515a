"""What the admin site only shows: rows that the platform writes."""

from typing import Any

from django.http import HttpRequest


class ReadOnly:
    """Rows that nobody adds or changes by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Kept(ReadOnly):
    """Rows that nobody deletes by hand either."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
