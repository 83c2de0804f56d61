"""Reads JSON that is still being written, and refuses it at the first character that is none."""

import json
import re
from collections.abc import Callable
from typing import Any

from backends.chat.reader import Broken, Reader, Steps

MAX_DEPTH = 100  # of objects and lists; json.loads has an end, too
MAX_WORD = 1_000  # characters of a number
STRING = re.compile(r'[^"\\\x00-\x1f]+')
CONTROLS = re.compile(r"[\x00-\x1f]+")  # no JSON, but models write line breaks into strings
HEX = re.compile(r"[0-9a-fA-F]")
WHITE = re.compile(r"[ \t\r\n]+")
WORD = re.compile(r"[\w+.\-]+")
SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null", re.ASCII)
BLANKS = frozenset(" \t\r\n")
CLOSING = {"{": "}", "[": "]"}
Tell = Callable[[str], None]


def read_value(reader: Reader, tell: Tell) -> Steps[None]:
    """Raises Broken. tell: hears the value piece by piece, with the controls in its strings escaped."""
    open_ones: list[str] = []
    while True:
        is_open = yield from _read_begin(reader, tell, open_ones)
        while not is_open:
            if not open_ones:
                return
            yield from _white(reader, tell)
            tell(sign := (yield from reader.expect(",", CLOSING[open_ones[-1]])))
            if sign == ",":
                break
            open_ones.pop()
        if open_ones[-1] == "{":
            yield from _read_key(reader, tell)


def read_string(reader: Reader) -> Steps[str]:
    """What a string says. Raises Broken."""
    pieces: list[str] = []
    yield from _read_string(reader, pieces.append)
    return str(json.loads("".join(pieces)))


def read_whole(reader: Reader) -> Steps[str]:
    """A value as it stands. Raises Broken."""
    pieces: list[str] = []
    yield from read_value(reader, pieces.append)
    return "".join(pieces)


def is_object(text: str) -> bool:
    value = loaded(text)
    return isinstance(value, dict)


def loaded(text: str) -> Any:
    """Raises Broken for what is no JSON."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Broken from None


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _refuse(_name: str) -> Any:
    raise ValueError("no number")


def _read_begin(reader: Reader, tell: Tell, open_ones: list[str]) -> Steps[bool]:
    """Whether an object or a list has been opened that is not empty; else a value has been read."""
    yield from _white(reader, tell)
    match (yield from reader.peek()):
        case '"':
            yield from _read_string(reader, tell)
        case "{" | "[" as sign:
            tell((yield from reader.expect(sign)))
            yield from _white(reader, tell)
            if closing := (yield from reader.accept(CLOSING[sign])):
                tell(closing)
                return False
            open_ones.append(sign)
            if len(open_ones) > MAX_DEPTH:
                raise Broken
            return True
        case _:
            word = yield from reader.run(WORD, MAX_WORD)
            if not SCALAR.fullmatch(word):
                raise Broken
            tell(word)
    return False


def _read_key(reader: Reader, tell: Tell) -> Steps[None]:
    yield from _white(reader, tell)
    yield from _read_string(reader, tell)
    yield from _white(reader, tell)
    tell((yield from reader.expect(":")))


def _read_string(reader: Reader, tell: Tell) -> Steps[None]:
    tell((yield from reader.expect('"')))
    while True:
        match (yield from reader.peek()):
            case "":
                raise Broken
            case '"':
                tell((yield from reader.expect('"')))
                return
            case "\\":
                tell((yield from _read_escape(reader)))
            case sign if sign < " ":
                tell(json.dumps((yield from reader.run(CONTROLS)))[1:-1])
            case _:
                yield from _read_letters(reader, tell)


def _read_letters(reader: Reader, tell: Tell) -> Steps[None]:
    """Told as they come."""
    while text := reader.run_now(STRING):
        tell(text)
        yield from reader.peek()


def _read_escape(reader: Reader) -> Steps[str]:
    begin = yield from reader.expect("\\u", *(f"\\{sign}" for sign in '"\\/bfnrt'))
    if begin != "\\u":
        return begin
    digits = ""
    for _ in range(4):
        if not HEX.match((yield from reader.peek()) or " "):
            raise Broken
        digits += reader.run_now(HEX)
    return begin + digits


def _white(reader: Reader, tell: Tell) -> Steps[None]:
    while (yield from reader.peek()) in BLANKS:
        tell(reader.run_now(WHITE))
