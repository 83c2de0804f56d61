"""One message as it is typed: a line, several between triple quotes, or lines that end with a backslash."""

from collections.abc import Callable

FIRST, MORE = ">>> ", "... "
QUOTES = '"""'
MAX_CHARACTERS = 16 << 20  # of one message; the engine knows what fits into its context


class Dropped(Exception):
    """Ctrl+C in the middle of a message: it is forgotten, the chat goes on."""


class TooLong(Dropped):
    pass


def read_entry(read: Callable[[str], str]) -> str:
    """read: gives a line for a prompt. Raises EOFError and KeyboardInterrupt at the first line, later Dropped."""
    line = read(FIRST)
    if line.lstrip().startswith(QUOTES):
        return _quoted(line.lstrip().removeprefix(QUOTES), read)
    lines = [line]
    while lines[-1].endswith("\\"):
        lines[-1] = lines[-1][:-1]
        lines.append(_next(read, lines))
    return _whole(lines)


def _quoted(first: str, read: Callable[[str], str]) -> str:
    lines = [first]
    while not lines[-1].rstrip().endswith(QUOTES):
        lines.append(_next(read, lines, at_end=QUOTES))
    lines[-1] = lines[-1].rstrip().removesuffix(QUOTES)
    return _whole(lines).strip("\n")


def _next(read: Callable[[str], str], lines: list[str], at_end: str = "") -> str:
    _whole(lines)
    try:
        return read(MORE)
    except KeyboardInterrupt:
        raise Dropped from None
    except EOFError:  # what was begun counts as said; the next line says goodbye
        return at_end


def _whole(lines: list[str]) -> str:
    if sum(map(len, lines)) > MAX_CHARACTERS:
        raise TooLong
    return "\n".join(lines)
