from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LlmConfig(AppConfig):
    """Models and the providers they are reached through; what their use costs."""

    name = "llm"
    verbose_name = _("Models")
