from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ConfigConfig(AppConfig):
    """The project itself: settings, routes, and the command that serves it."""

    name = "config"
    verbose_name = _("Site")

    def ready(self) -> None:
        from llm.signals import default_made

        default_made.connect(_record_default)


def _record_default(model: Any, actor: Any, **_signal: Any) -> None:
    # Models and accounts do not know of one another.
    from accounts import audit

    how = {"model": model.name, "via": "admin site"}
    audit.record("model.made_default", actor=actor, of=model, **how)
