"""Whatever people read can be translated."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.utils.functional import Promise

from accounts.errors import Refusal
from config import asgi  # noqa: F401, imports whatever refuses
from config.management.commands.translations import FUNCTIONS

APPS = ("accounts", "characters", "config", "conversations", "llm")
SENTENCE = re.compile(r"\S .*[.!…]$", re.DOTALL)

#: What other readers are told: models, operators at a console, and clients by OpenAPI,
#: which has one language. Demo conversations have theirs.
UNTRANSLATED = {
    "characters/persona.py",
    "characters/seeding.py",
    "accounts/api/schema.py",
    "config/environment.py",
    "config/settings.py",
    "conversations/demo.py",
    "conversations/demo_history.py",
    "conversations/prompts.py",
}
OPENAPI = {"description", "help_text"}
#: Programming errors, those of a start, and what another exception takes the place of.
UNSEEN = {
    "BadRequest",
    "ImproperlyConfigured",
    "OpenApiResponse",
    "PyJWKClientConnectionError",
    "TypeError",
}


def bare_sentences(path: Path) -> Iterator[str]:
    """Yield the sentences of a module that go through no function of gettext."""
    tree = ast.parse(path.read_text())
    kept: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # docstrings
            kept.add(node.value)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            to = getattr(getattr(node.func, "value", None), "id", "")
            # Logs and Prometheus have one language.
            if name in FUNCTIONS or name in UNSEEN or to in ("logger", "metrics"):
                kept.update(ast.walk(node))
            if "/api/" in str(path):
                for keyword in node.keywords:
                    if keyword.arg in OPENAPI:
                        kept.update(ast.walk(keyword.value))
    for node in ast.walk(tree):
        if node not in kept and SENTENCE.search(text_of(node)):
            # What it is made of is no other sentence.
            kept.update(ast.walk(node))
            yield f"{path}:{node.lineno}: {text_of(node)}"


def text_of(node: ast.AST) -> str:
    match node:
        case ast.JoinedStr(values=parts):
            return "".join(map(text_of, parts))
        case ast.FormattedValue():
            return "{}"
        case ast.Constant(value=str(text)):
            return text
    return ""


def refusals(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for refusal in kind.__subclasses__():
        yield refusal
        yield from refusals(refusal)


def test_no_sentence_of_the_code_is_kept_from_translation():
    found = []
    for app in APPS:
        for path in sorted((settings.BASE_DIR / app).rglob("*.py")):
            inside = path.relative_to(settings.BASE_DIR)
            is_product = not {"tests", "testing", "migrations", "commands"} & set(
                inside.parts
            )
            if is_product and str(inside) not in UNTRANSLATED:
                found += bare_sentences(path)

    assert found == []


def test_every_refusal_is_translated_when_it_is_said():
    bare = [
        refusal.__name__
        for refusal in refusals()
        if refusal.detail
        and not isinstance(inspect.getattr_static(refusal, "detail"), Promise)
    ]

    assert bare == []
