from typing import Any

from django.apps import AppConfig
from django.contrib.admin import apps as admin
from django.utils.translation import gettext_lazy as _


class ConfigConfig(AppConfig):
    """The project itself: settings, routes, and the command that serves it."""

    name = "config"
    verbose_name = _("Site")

    def ready(self) -> None:
        from llm.signals import model_administered

        model_administered.connect(_record)


class AdminConfig(admin.AdminConfig):
    """Django's admin site, as the project wants it."""

    default = False
    default_site = "config.admin_site.Site"


def _record(
    model: Any, action: str, actor: Any, details: dict[str, Any], **_signal: Any
) -> None:
    # Models and accounts do not know of one another.
    from accounts import audit

    how = {"model": model.name, **details, "via": "admin site"}
    audit.record(f"model.{action}", actor=actor, of=model, **how)
