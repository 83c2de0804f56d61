"""Colors code with Pygments, as spans over the text. Knows no widget."""

from dataclasses import dataclass
from functools import lru_cache

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType
from pygments.util import ClassNotFound

from ui.palette import Palette

MAX_CHARS = 60_000  # longer code stays plain: coloring it would stall the window


@dataclass(frozen=True, slots=True)
class Span:
    start: int
    length: int
    color: str


def highlight(code: str, language: str, colors: Palette) -> list[Span]:
    """Spans of `code` that are not in the text's color; none for a language that Pygments does not know."""
    lexer = _lexer(language.lower())
    if lexer is None or len(code) > MAX_CHARS:
        return []
    table = _table(colors)
    spans = []
    for start, token, value in lexer.get_tokens_unprocessed(code):
        color = _color(token, table)
        if color and value.strip():
            spans.append(Span(start, len(value), color))
    return spans


@lru_cache(maxsize=32)
def _lexer(language: str) -> Lexer | None:
    if not language:
        return None
    try:
        return get_lexer_by_name(language)
    except ClassNotFound:
        return None


@lru_cache(maxsize=4)
def _table(colors: Palette) -> dict[_TokenType, str]:
    return {
        Keyword: colors.syntax_keyword,
        Operator.Word: colors.syntax_keyword,
        String: colors.syntax_string,
        Comment: colors.syntax_comment,
        Number: colors.syntax_number,
        Name.Function: colors.syntax_name,
        Name.Class: colors.syntax_name,
        Name.Builtin: colors.syntax_name,
        Name.Decorator: colors.syntax_name,
        Name.Tag: colors.syntax_name,
        Name.Attribute: colors.syntax_number,
    }


def _color(token: _TokenType, table: dict[_TokenType, str]) -> str | None:
    node: _TokenType | None = token
    while node is not None:
        if node in table:
            return table[node]
        node = node.parent
    return None
