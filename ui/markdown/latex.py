"""Keeps LaTeX as it was written, where Markdown would take its backslashes, stars and lines for its own. Knows no Qt.

What Markdown must not see is hidden from its parser behind characters that it takes for letters, and shown again in
what the parser has made of the text. So a formula within code, whatever kind of code it is, stays as it was, too.
"""

import re
from collections.abc import Iterator

from ui.markdown.blocks import FENCE

HIDDEN = 0x10FF00  # the last private characters of Unicode: that of ASCII n is HIDDEN + n
LINE = "\u2028"  # a new line within a paragraph of Qt's
PUNCTUATION = re.compile(r"[\n!-/:-@\[-`{-~]")
ESCAPED = re.compile(r"\\([()\[\]])")
# a formula ends with its paragraph at the latest; a dollar opens one before a character and closes it after one
TOKEN = re.compile(r"(?P<blank>\n[ \t>]*(?=\n))|(?P<ticks>`+)|(?P<pair>\\\\)|\\[()\[\]]|\$\$|\$")
CLOSING = {"\\(": "\\)", "\\[": "\\]", "$$": "$$", "$": "$"}
_HIDE = {number: chr(HIDDEN + number) for number in range(128)}
_SHOW = {HIDDEN + number: chr(number) for number in range(128)} | {HIDDEN + ord("\n"): LINE}


def hide(markdown: str) -> str:
    """The same text, of which the parser leaves formulas alone. Takes linear time, whatever is left open."""
    return "".join(piece if is_code else _hide_formulas(piece) for piece, is_code in _pieces(markdown))


def show(parsed: str) -> str:
    """What stands in a text that the parser has made of a hidden one."""
    return parsed.translate(_SHOW)


def target(parsed: str) -> str:
    """A link's target, in which a backslash before a parenthesis is Markdown's and no formula's."""
    return ESCAPED.sub(r"\1", show(parsed))


def _hide_formulas(prose: str) -> str:
    tokens = list(TOKEN.finditer(prose))
    partners = _partners(prose, tokens)
    result, end, number = [], 0, 0
    while number < len(tokens):
        token, partner = tokens[number], partners.get(number)
        if token["ticks"] is None and partner is not None:
            result += [prose[end : token.start()], _hidden(prose[token.start() : tokens[partner].end()])]
            end = tokens[partner].end()
        elif ESCAPED.fullmatch(token.group()):  # its other half has not come, or never will
            result += [prose[end : token.start()], _hidden(token.group())]
            end = token.end()
        number = number + 1 if partner is None else partner + 1
    return "".join([*result, prose[end:]])


def _partners(prose: str, tokens: list[re.Match[str]]) -> dict[int, int]:
    """Which token ends what another begins, both by their numbers: the next of its kind in the same paragraph."""
    result: dict[int, int] = {}
    ahead: dict[str, int] = {}
    for number in range(len(tokens) - 1, -1, -1):
        token, kind = tokens[number], tokens[number].group()
        if token["blank"] is not None:
            ahead.clear()
            continue
        partner = ahead.get(CLOSING.get(kind, kind))
        is_opening = token["ticks"] is not None or kind in CLOSING
        if partner is not None and is_opening and (kind != "$" or not prose[token.end()].isspace()):
            result[number] = partner
        if kind != "$" or _may_close(prose, token):
            ahead[kind] = number
    return result


def _may_close(prose: str, dollar: re.Match[str]) -> bool:
    """Not one before a price: that is written against a number, after a space."""
    before, after = prose[dollar.start() - 1 : dollar.start()], prose[dollar.end() : dollar.end() + 1]
    return bool(before) and not before.isspace() and not after.isdigit()


def _hidden(text: str) -> str:
    return PUNCTUATION.sub(lambda match: _HIDE[ord(match.group())], text)


def _pieces(markdown: str) -> Iterator[tuple[str, bool]]:
    """What lies between fences, and the fences with their code."""
    closing, begin, place = "", 0, 0
    for line in markdown.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        if closing:
            if bare.strip().startswith(closing) and not bare.strip().strip(closing[0]):
                yield markdown[begin : place + len(line)], True
                closing, begin = "", place + len(line)
        elif fence := FENCE.match(bare):
            yield markdown[begin:place], False
            closing, begin = fence.group(2), place
        place += len(line)
    yield markdown[begin:], bool(closing)
