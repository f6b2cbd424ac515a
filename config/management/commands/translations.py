"""`manage.py translations`: keep locale/ complete without the gettext programs.

Reads the messages out of the code and the templates, merges them into each .po file
and compiles it. With --check it changes nothing and fails where something is missing.
"""

import ast
import re
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation.template import templatize

BASE = Path(settings.BASE_DIR)
SOURCES = ("accounts", "characters", "config", "conversations", "knowledge", "llm")

#: function → which of its arguments are context, message and plural.
FUNCTIONS = {
    "_": (None, 0, None),
    "gettext": (None, 0, None),
    "gettext_lazy": (None, 0, None),
    "gettext_noop": (None, 0, None),
    "ngettext": (None, 0, 1),
    "ngettext_lazy": (None, 0, 1),
    "pgettext": (0, 1, None),
    "pgettext_lazy": (0, 1, None),
    "npgettext": (0, 1, 2),
    "npgettext_lazy": (0, 1, 2),
}

_STRING = r"""u?((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))"""
#: The calls that Django's `templatize` writes for what a template says.
_TEMPLATE_CALL = re.compile(
    rf"\b(_|gettext|ngettext|pgettext|npgettext)\(\s*{_STRING}"
    rf"(?:\s*,\s*{_STRING})?(?:\s*,\s*{_STRING})?"
)


class Text(NamedTuple):
    """A message as gettext tells it from others."""

    context: str | None
    message: str
    plural: str | None
    where: str


class Command(BaseCommand):
    help = "Bring the translations up to date with the code and the templates."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only look")

    def handle(self, *args: object, check: bool = False, **options: object) -> None:
        texts = find_texts()
        faults: list[str] = []
        for path in sorted(BASE.glob("locale/*/LC_MESSAGES/*.po")):
            faults += check_catalogue(path, texts) if check else []
            if not check:
                waiting = update_catalogue(path, texts)
                self.stdout.write(f"{path.relative_to(BASE)}: {waiting} to translate")
        if faults:
            raise CommandError("\n".join(faults))


def find_texts() -> dict[tuple[str | None, str], Text]:
    """Return every message of the code and the templates."""
    found: dict[tuple[str | None, str], Text] = {}
    for path in _files("*.py"):
        for text in _texts_of_code(path):
            found.setdefault((text.context, text.message), text)
    for path in [*_files("*.html"), *_files("*.txt")]:
        for text in _texts_of_template(path):
            found.setdefault((text.context, text.message), text)
    return found


def _files(pattern: str) -> Iterator[Path]:
    for name in (*SOURCES, "templates"):
        for path in sorted((BASE / name).rglob(pattern)):
            if not {"tests", "migrations", "testing"} & set(path.parts):
                yield path


def _texts_of_code(path: Path) -> Iterator[Text]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
        if name in FUNCTIONS:
            arguments = [getattr(argument, "value", None) for argument in node.args]
            yield from _text(name, arguments, f"{path.relative_to(BASE)}")


def _texts_of_template(path: Path) -> Iterator[Text]:
    for match in _TEMPLATE_CALL.finditer(templatize(path.read_text())):
        arguments = [ast.literal_eval(part) for part in match.groups()[1:] if part]
        yield from _text(match[1], arguments, str(path.relative_to(BASE)))


def _text(name: str, arguments: list[Any], where: str) -> Iterator[Text]:
    context, message, plural = (
        arguments[place] if place is not None and place < len(arguments) else None
        for place in FUNCTIONS[name]
    )
    if isinstance(message, str) and message:
        yield Text(context, message, plural, where)


def check_catalogue(path: Path, texts: dict[tuple[str | None, str], Text]) -> list[str]:
    """Return what is missing, unfinished, or not compiled in one .po file."""
    import polib

    name = path.relative_to(BASE)
    catalogue = polib.pofile(str(path))
    done = {
        (entry.msgctxt, entry.msgid): entry
        for entry in catalogue
        if entry.translated() and not entry.obsolete
    }
    faults = [
        f"{name}: not translated: {text.message!r} ({text.where})"
        for key, text in texts.items()
        if key not in done
    ]
    for entry in done.values():
        names = set(re.findall(r"%\(\w+\)[sd]", entry.msgid))
        for translation in [entry.msgstr, *entry.msgstr_plural.values()]:
            if translation and names - set(re.findall(r"%\(\w+\)[sd]", translation)):
                faults.append(f"{name}: a placeholder was lost: {entry.msgid!r}")
    compiled = path.with_suffix(".mo")
    if not compiled.exists() or compiled.read_bytes() != catalogue.to_binary():
        faults.append(f"{name}: not compiled; run make translations")
    return faults


def update_catalogue(path: Path, texts: dict[tuple[str | None, str], Text]) -> int:
    """Add and drop messages, compile, and return how many wait for a translation."""
    import polib

    catalogue = polib.pofile(str(path), wrapwidth=88)
    known = {(entry.msgctxt, entry.msgid): entry for entry in catalogue}
    for key, entry in known.items():
        if key not in texts:
            catalogue.remove(entry)
    for key, text in texts.items():
        entry = known.get(key)
        if entry is None:
            plural = {"msgid_plural": text.plural, "msgstr_plural": {0: "", 1: ""}}
            entry = polib.POEntry(
                msgctxt=text.context,
                msgid=text.message,
                **(plural if text.plural else {"msgstr": ""}),
            )
            catalogue.append(entry)
        entry.occurrences = [(text.where, "")]
        if "%(" in text.message and "python-format" not in entry.flags:
            entry.flags.append("python-format")
    catalogue.sort(key=lambda entry: (entry.occurrences, entry.msgid))
    catalogue.save(str(path))
    path.with_suffix(".mo").write_bytes(catalogue.to_binary())
    return len(catalogue.untranslated_entries()) + len(catalogue.fuzzy_entries())
