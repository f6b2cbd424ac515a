from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The project itself: settings, routes, and the command that serves it."""

    name = "config"
