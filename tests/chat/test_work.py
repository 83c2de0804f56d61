"""Reading costs work that grows with the text alone, whatever the text is."""

from collections.abc import Callable

import pytest

from backends.chat.format import Format
from backends.chat.formats.table import FORMATS, named
from backends.chat.parser import ChatParser
from tests.chat.calls import NESTED, TOOLS
from tests.work import calls_of

NASTY = ("<", "a ", '{"a": [', "[get_weather(city=[", "<tool_call>")


def _reading(format: Format, text: str, size: int) -> Callable[[], object]:
    def read() -> None:
        parser = ChatParser(format, None, TOOLS)
        for at in range(0, len(text), size):
            parser.feed(text[at : at + size])
        parser.finish()

    return read


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_twice_the_text_is_twice_the_work(format: Format) -> None:
    calls = format.syntax.write([NESTED])
    opener = calls[: calls.index("a") - 3]
    for piece in (*NASTY, opener or "{"):
        text = opener + (piece * 900)[:1800]
        short, long = (calls_of(_reading(format, text[:num], 3)) for num in (900, 1800))
        assert long < 2.5 * short, piece


@pytest.mark.parametrize("format", [named(name) for name in ("hermes", "llama", "glm")], ids=lambda format: format.name)
def test_a_megabyte_of_garbage_comes_through(format: Format) -> None:
    opener = next(iter(format.syntax.openers), "{")
    text = (opener + "garbage {[(\"' ") * (2**20 // (len(opener) + 14))
    parser = ChatParser(format, None, TOOLS)
    num_told = sum(len(event.text) for event in (*parser.feed(text), *parser.finish()) if hasattr(event, "text"))
    assert num_told >= len(text)
