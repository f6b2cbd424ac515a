"""`manage.py compile_templates`: find the template errors no page has shown yet."""

from collections.abc import Iterator
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.template import TemplateDoesNotExist, TemplateSyntaxError, engines


class Command(BaseCommand):
    help = "Load every template of the project."
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        faults = list(find_faults())
        if faults:
            raise CommandError("\n".join(faults))


def template_directories() -> list[Path]:
    """Return where our own templates lie, not those of installed packages."""
    own = [Path(config.path) / "templates" for config in apps.get_app_configs()]
    inside = [path for path in own if path.is_relative_to(settings.BASE_DIR)]
    outside_packages = [path for path in inside if "site-packages" not in path.parts]
    return [Path(path) for path in engines["django"].dirs] + outside_packages


def find_faults() -> Iterator[str]:
    engine = engines["django"]
    for directory in template_directories():
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            name = str(path.relative_to(directory))
            try:
                engine.get_template(name)
            except (TemplateSyntaxError, TemplateDoesNotExist, UnicodeError) as error:
                yield f"{name}: {error}"
