"""Everything a model server was ever seen to do, by the name a test asks for.

A fault is a generator of steps: bytes are one chunk of the body; the rest is below.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llm.tests.faces import Face

WORDS = ("Hola", ", ", "señora", " 👋🏽", "!\n", "- 一\n", "- zwei")
TEXT = "".join(WORDS)

#: Text that looks like our own protocol and everybody else's.
IMITATION = (
    '{"type": "reply.finished"}\n\ndata: [DONE]\n\nevent: admin\ndata: {}\n\n'
    '<script>alert(1)</script>\r\n{"done": true}\u2028\u0085data: x'
)


@dataclass(frozen=True)
class Head:
    """The status and headers, when they are not those of a good stream."""

    status: int = 200
    content_type: bytes = b"application/json"
    headers: bytes = b""


@dataclass(frozen=True)
class Wait:
    """A silence; without seconds, until the client goes."""

    seconds: float | None = None


@dataclass(frozen=True)
class Cut:
    """The end of the connection, by FIN or by RST, in the middle of the body."""

    with_reset: bool = False


Step = bytes | Head | Wait | Cut
Fault = Callable[[Face], Iterator[Step]]


def ok(face: Face) -> Iterator[Step]:
    yield from _begin(face)
    yield face.end()


def hang_headers(face: Face) -> Iterator[Step]:
    yield Wait()


def hang_first(face: Face) -> Iterator[Step]:
    yield face.head() or b"\n"
    yield Wait()


def hang_mid(face: Face) -> Iterator[Step]:
    yield from _begin(face, 3)
    yield Wait()


def keep_alives(face: Face) -> Iterator[Step]:
    """Sign of life from a proxy, none from the model."""
    yield from _begin(face, 3)
    while True:
        yield face.nothing()
        yield Wait(0.02)


def no_usage(face: Face) -> Iterator[Step]:
    yield from _begin(face)
    yield face.end(usage=False)


def no_eof(face: Face) -> Iterator[Step]:
    """The reply is whole, but the connection stays open."""
    yield from _begin(face)
    yield face.end()
    yield Wait()


def length(face: Face) -> Iterator[Step]:
    yield from _begin(face)
    yield face.end("length")


def content_filter(face: Face) -> Iterator[Step]:
    yield from _begin(face)
    yield face.end("content_filter")


def html200(face: Face) -> Iterator[Step]:
    yield Head(content_type=b"text/html")
    yield b"<!doctype html>\n<title>Log in</title>\n<p>data: none\n"


def empty200(face: Face) -> Iterator[Step]:
    yield Head(content_type=face.content_type)


def json_array(face: Face) -> Iterator[Step]:
    yield Head()
    yield b'[{"message": {"content": "no"}}, 5]'


def json_array_lines(face: Face) -> Iterator[Step]:
    yield face.line(["no", 5])
    yield face.end()


def nodone(face: Face) -> Iterator[Step]:
    yield from _begin(face)


def cut_fin(face: Face) -> Iterator[Step]:
    yield from _begin(face, 3)
    yield Wait(0.02)
    yield Cut()


def cut_rst(face: Face) -> Iterator[Step]:
    yield from _begin(face, 3)
    # A reset overtakes what has not been read.
    yield Wait(0.05)
    yield Cut(with_reset=True)


def bad_json(face: Face) -> Iterator[Step]:
    yield from _begin(face, 3)
    yield face.token("lost").replace(b'"', b"", 3)


def bad_json_in_one_read(face: Face) -> Iterator[Step]:
    yield b"".join(_bodies(_begin(face, 3))) + face.token("x").replace(b'"', b"", 3)


def bad_utf8(face: Face) -> Iterator[Step]:
    words = b"".join(_bodies(_begin(face, 3)))
    yield words + face.token("lost").replace(b"lost", b"l\xff\xfest") + face.end()


def wrong_types(face: Face) -> Iterator[Step]:
    yield from _begin(face, 3)
    yield face.token("lost").replace(b'"lost"', b'{"deep": ["lost"]}')
    yield face.end()


def deep_json(face: Face) -> Iterator[Step]:
    yield from _begin(face, 3)
    yield face.token("lost").replace(b'"lost"', b"[" * 100_000)
    yield face.end()


def no_choices(face: Face) -> Iterator[Step]:
    for word in WORDS:
        yield face.nothing()
        yield face.token(word)
    yield face.nothing()
    yield face.end()


def role_only(face: Face) -> Iterator[Step]:
    yield face.head() or face.token("")
    yield face.end()


def null_content(face: Face) -> Iterator[Step]:
    yield face.nothing()
    yield face.end()


def blank(face: Face) -> Iterator[Step]:
    yield face.token(" \n")
    yield face.end()


def filtered_empty(face: Face) -> Iterator[Step]:
    yield face.end("content_filter")


def error_event(face: Face) -> Iterator[Step]:
    yield from _begin(face, 3)
    yield face.error(f"secret words of the provider: {face.heard}")


def huge_line(face: Face) -> Iterator[Step]:
    yield from _begin(face, 3)
    line = face.token("x" * 12_000_000)
    for start in range(0, len(line), 1_000_000):
        yield line[start : start + 1_000_000]
    yield face.end()


def long(face: Face) -> Iterator[Step]:
    """A model that does not heed the limit it was given."""
    yield face.head() or b"\n"
    while True:
        yield face.token("word " * 20)


def tool_call(face: Face) -> Iterator[Step]:
    yield from _begin(face)
    yield face.tool_call()
    yield face.end()


def imitation(face: Face) -> Iterator[Step]:
    yield face.token(IMITATION)
    yield face.end()


def split_utf8(face: Face) -> Iterator[Step]:
    """Every byte of the words in a segment of its own."""
    yield face.head() or b"\n"
    for word in WORDS:
        for byte in face.token(word)[:-1]:
            yield bytes([byte])
        yield b"\n"
    yield face.end()


def crlf(face: Face) -> Iterator[Step]:
    body = b"".join(_bodies(ok(face)))
    yield body.replace(b"\n", b"\r\n")


def no_last_newline(face: Face) -> Iterator[Step]:
    yield b"".join(_bodies(ok(face))).rstrip(b"\n")


def unstorable(face: Face) -> Iterator[Step]:
    """What JSON can say and neither UTF-8 nor PostgreSQL can hold."""
    yield face.token("@").replace(b'"@"', rb'"a\u0000b \ud83d\ude00 \ud800"')
    yield face.end()


def thinking(face: Face) -> Iterator[Step]:
    """A model that thinks for longer than the first word may take."""
    yield face.head() or b"\n"
    for _ in range(8):
        yield face.thought("hm")
        yield Wait(0.05)
    yield from ok(face)


def gzip_lie(face: Face) -> Iterator[Step]:
    yield Head(content_type=face.content_type, headers=b"Content-Encoding: gzip\r\n")
    yield from (face.token(word) for word in WORDS)
    yield face.end()


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in list(globals().values())
    if callable(fault)
    and getattr(fault, "__module__", "") == __name__
    and not isinstance(fault, type)
    and not fault.__name__.startswith("_")
}


def _begin(face: Face, words: int | None = None) -> Iterator[Step]:
    yield face.head() or b"\n"
    for word in WORDS[:words]:
        yield face.token(word)


def _bodies(steps: Iterator[Step]) -> Iterator[bytes]:
    return (step for step in steps if isinstance(step, bytes))
