"""What a command says: names from files and networks reach a terminal escaped, and programs get them exactly."""

import json
import logging
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from app.exact_json import exact_json
from backends.bounds import printable, sentence

PREFIX = "slipstream: "
LAYOUT = ("\n", "\t")  # of control characters these move nothing that was written before
LAYOUT_SPLIT = re.compile("([\n\t])")


def say(text: str) -> None:
    """Lines for a person. A name that has lines of its own is made `printable` before it comes into a text."""
    _write(sys.stdout, "\n".join(map(printable, text.split("\n"))))


def stream(text: str) -> None:
    """A piece of a model's words, as they are but for what would drive the terminal."""
    plain = text.replace("\r\n", "\n")
    _write(sys.stdout, "".join(part if part in LAYOUT else printable(part) for part in LAYOUT_SPLIT.split(plain)), "")


def prompt(mark: str) -> None:
    """Where no line editor shows it; not on stdout, which may be a file."""
    _write(sys.stderr, mark, "")


def say_json(document: Any) -> None:
    is_utf8 = (sys.stdout.encoding or "utf-8").lower().replace("-", "") == "utf8"
    _write(sys.stdout, exact_json(document) if is_utf8 else json.dumps(document, indent=2))


def show(arguments: Any, document: Any, tell: Callable[[], str]) -> None:
    """The document with --json, else what `tell` makes of it."""
    if arguments.json:
        say_json(document)
    else:
        say(tell())


def warn(text: str) -> None:
    """One line on stderr."""
    _write(sys.stderr, f"{PREFIX}{sentence(text)}")


class PrintableFormatter(logging.Formatter):
    """What parts of the application note in passing names files as well."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


def guard_log() -> None:
    """No handler is set up: warnings go to stderr by the one of last resort."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(PrintableFormatter(f"{PREFIX}%(message)s"))


def _write(stream: TextIO, text: str, end: str = "\n") -> None:
    """Escapes whatever the encoding lacks, too: a quotation mark must not end a command."""
    encoding = stream.encoding or "utf-8"
    with suppress(LookupError):
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    print(text, file=stream, end=end, flush=True)
