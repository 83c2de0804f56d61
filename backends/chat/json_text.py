"""Reads JSON that is still being written, and refuses it at the first character that is none."""

import json
import math
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
WORDS = frozenset({"true", "false", "null"})
BLANKS = frozenset(" \t\r\n")
HIGH, LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)  # halves of surrogate pairs
REPLACEMENT = "\\ufffd"
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
BRACKETS = re.compile(r"[{}\[\]]")
ONLY = "value"  # the name of arguments that have none
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
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        raise Broken from None


def entries(arguments: str) -> dict[str, Any]:
    """Of a call's arguments, which people may have cut or made up: what is no object is the one entry of one."""
    try:
        value = loaded(arguments or "{}")
    except Broken:
        value = arguments
    return value if isinstance(value, dict) else {} if value is None else {ONLY: value}


def depth(text: str) -> int:
    """Of the objects and lists in JSON, or in what was meant to be some; counted, not walked through."""
    open_now = most = 0
    for sign in BRACKETS.findall(QUOTED.sub("", text)):
        open_now += 1 if sign in CLOSING else -1
        most = max(most, open_now)
    return most


def sound(text: str) -> str:
    """The same JSON, with whole characters. Raises Broken for what is no JSON, or has numbers that nothing holds."""
    plain = dumped(loaded(text))
    repaired = whole_characters(plain)
    return text if repaired == plain else repaired


def whole_characters(text: str) -> str:
    """Pairs of surrogates become the character that they are; a half by itself becomes a replacement."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_scalar(word: str) -> bool:
    """Whether it is JSON by itself and no string. A number that no float holds is none for those who read it."""
    return bool(SCALAR.fullmatch(word)) and (word in WORDS or math.isfinite(float(word)))


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _refuse(_name: str) -> Any:
    raise ValueError("no number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("no float holds it")
    return number


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
            if not is_scalar(word):
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
    """Half a surrogate pair is no character, and becomes a replacement."""
    begin = yield from reader.expect("\\u", *(f"\\{sign}" for sign in '"\\/bfnrt'))
    if begin != "\\u":
        return begin
    told = ""
    code = int(digits := (yield from _read_digits(reader)), 16)
    while code in HIGH:
        if not (yield from reader.accept("\\u")):
            return told + REPLACEMENT
        low = yield from _read_digits(reader)
        if int(low, 16) in LOW:
            return f"{told}\\u{digits}\\u{low}"
        told += REPLACEMENT
        code = int(digits := low, 16)
    return told + (REPLACEMENT if code in LOW else f"\\u{digits}")


def _read_digits(reader: Reader) -> Steps[str]:
    digits = ""
    for _ in range(4):
        if not HEX.match((yield from reader.peek()) or " "):
            raise Broken
        digits += reader.run_now(HEX)
    return digits


def _white(reader: Reader, tell: Tell) -> Steps[None]:
    while (yield from reader.peek()) in BLANKS:
        tell(reader.run_now(WHITE))
