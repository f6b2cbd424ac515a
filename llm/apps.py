from django.apps import AppConfig


class LlmConfig(AppConfig):
    """Models and the providers they are reached through; what their use costs."""

    name = "llm"
    verbose_name = "Models"
