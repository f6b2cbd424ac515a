"""The documents that clients and operators program against, compared with the code."""

import ast
import inspect
import re
from dataclasses import fields

from django.test import SimpleTestCase

from accounts.errors import Refusal
from config import api
from config.environment import BASE_DIR
from conversations import endings, events
from conversations.consumers import JsonConsumer

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
API = (BASE_DIR / "docs" / "api.md").read_text()
#: A frame of a socket, or the name of a server-sent event, written out in code.
FRAME = r'"type": ?"([a-z.]+)"|event: ([a-z.]+)\\n'
#: What somebody's sockets are rung for.
RING = r'(?:ring|announce)\(\s*(?:[\w.()]+,\s*)?"([a-z.]+)"'


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table in docs/api.md whose heading begins like this."""
    _before, _heading, rest = API.partition(f"\n| {heading}")
    rows = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def every(kind: type) -> set[type]:
    found = set(kind.__subclasses__())
    return found.union(*map(every, found)) if found else found


#: What moves words, without its tests.
SOURCE = "".join(
    path.read_text()
    for path in (BASE_DIR / "conversations").rglob("*.py")
    if "tests" not in path.parts
)

COMMANDS = table("`type` | fields | answer |")


class CodeTests(SimpleTestCase):
    documented = {names(row[0])[0]: row[1] for row in table("code | status |")}

    def test_every_refusal_is_documented_with_its_status(self):
        ours = [kind for kind in every(Refusal) if ".tests." not in kind.__module__]
        self.assertGreater(len(ours), 15)
        for kind in ours:
            with self.subTest(kind.__name__):
                self.assertEqual(self.documented.get(kind.code), str(kind.status))

    def test_every_documented_code_exists(self):
        ours = {kind.code for kind in every(Refusal)} | set(api.CODES.values())
        # These are answered where no view is reached.
        ours |= {"server_error", "unavailable"}
        self.assertEqual(set(self.documented) - ours, set())

    def test_every_code_of_the_framework_is_documented(self):
        # JSON is answered whatever is accepted: nobody is told `not_acceptable`.
        missing = set(api.CODES.values()) - set(self.documented) - {"not_acceptable"}
        self.assertEqual(missing, set())

    def test_every_way_a_reply_can_fail_is_documented(self):
        documented = {names(row[0])[0] for row in table("code | meaning |")}
        self.assertEqual(documented, set(endings.SENTENCES) - {"stopped"})


class EventTests(SimpleTestCase):
    documented = {
        name: set(names(row[1].partition(":")[0]))
        for row in table("`type` | further fields |")
        for name in names(row[0])
    }

    ours = {
        kind.type: {field.name for field in fields(kind)}
        for kind in every(events.Event)
        if isinstance(vars(kind).get("type"), str)
    }

    def test_every_event_is_documented_with_its_fields(self):
        self.assertGreater(len(self.ours), 7)
        for name, shape in self.ours.items():
            with self.subTest(name):
                self.assertEqual(self.documented.get(name), shape)

    def test_no_other_event_is_documented(self):
        ends = {"reply.finished", "reply.stopped", "reply.interrupted", "reply.failed"}
        self.assertEqual(set(self.documented) - set(self.ours), ends | {"error"})

    def test_every_frame_that_is_written_out_is_documented(self):
        commands = {name for row in COMMANDS for name in names(row[0] + row[2])}
        written = {name for pair in re.findall(FRAME, SOURCE) for name in pair if name}
        self.assertLess({"error", "pong"}, written)
        types = {"integer"}  # of the OpenAPI document
        self.assertEqual(written - set(self.documented) - commands - types, set())

    def test_every_ring_is_heard(self):
        handled = inspect.getsource(JsonConsumer.on_ring)
        heard = set(re.findall(r'case "([^"]+)":', handled))
        # A stop is for the process that writes the reply.
        self.assertEqual(set(re.findall(RING, SOURCE)), heard | {"stop"})


class CommandTests(SimpleTestCase):
    def test_the_commands_of_the_socket_are_documented(self):
        handled = re.findall(r'case "([^"]+)":', inspect.getsource(JsonConsumer.handle))
        documented = [names(row[0])[0] for row in COMMANDS]
        self.assertEqual(documented, handled)


class HouseTests(SimpleTestCase):
    def test_every_file_that_a_document_names_exists(self):
        documents = [*(BASE_DIR / "docs").glob("*.md"), BASE_DIR / "README.md"]
        for document in documents:
            for name in re.findall(
                r"`([\w./-]+\.(?:py|md|yaml))`", document.read_text()
            ):
                with self.subTest(document=document.name, names=name):
                    found = [*BASE_DIR.glob(name), *BASE_DIR.glob(f"*/{name}")]
                    self.assertTrue(found)


class SecurityTests(SimpleTestCase):
    named = set(
        re.findall(
            r"`((?:\w+\.)?test_\w+)`", (BASE_DIR / "docs" / "security.md").read_text()
        )
    )

    def test_every_test_that_security_relies_on_exists(self):
        self.assertGreater(len(self.named), 40)
        there = set()
        for path in BASE_DIR.glob("*/tests/test_*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.ClassDef(name=kind, body=body):
                        methods = (m for m in body if isinstance(m, _FUNCTIONS))
                        there |= {f"{kind}.{method.name}" for method in methods}
                    case ast.Module(body=body):
                        there |= {f.name for f in body if isinstance(f, _FUNCTIONS)}
        self.assertEqual(self.named - there, set())
