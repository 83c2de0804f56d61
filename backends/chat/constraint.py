"""Writes the grammar that holds a model to a format, in llguidance's Lark. Knows the vocabulary's markers by number."""

import json
import re
from collections.abc import Mapping
from typing import Any

from backends.chat.narrowing import narrowed
from backends.protocol import Grammar, GrammarKind

# as models write it: one that may write blanks where it likes may write them for ever
TIGHT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
ANYTHING, SOMETHING = "/(?s:.*)/", "/(?s:.+)/"
MAX_CALLS = 16  # of one turn, where parallel calls are wanted


class Constraint:
    """markers: the tokens of texts that the vocabulary reads as one token each, control tokens among them. They can be
    had in no other way."""

    def __init__(self, markers: Mapping[str, int]):
        self._markers = dict(markers)
        texts = sorted(map(re.escape, self._markers), key=len, reverse=True)
        self._any_marker = re.compile(f"({'|'.join(texts)})" if texts else "(?!)()")
        self._rules: dict[str, str] = {}  # what stands behind the name, its options and colon included

    def grammar(self, start: str) -> Grammar:
        return Grammar(
            GrammarKind.LARK, "\n".join([f"start: {start}", *(f"{name}{rest}" for name, rest in self._rules.items())])
        )

    def rule(self, expression: str, options: str = "") -> str:
        """The name of a new one."""
        name = f"rule_{len(self._rules)}"
        self._rules[name] = f"{options}: {expression}"
        return name

    def set(self, name: str, expression: str) -> None:
        """What a rule says that is its own part."""
        self._rules[name] = f": {expression}"

    def literal(self, text: str) -> str:
        """Exactly this text, its markers as the tokens that they are."""
        parts = self._any_marker.split(text)
        return " ".join(self._terminal(piece) for part in parts for piece in self._pieces(part) if piece)

    def json(self, schema: Any) -> str:
        """A value of the schema."""
        if isinstance(schema, dict):
            schema = narrowed(schema) | {"x-guidance": TIGHT}
        return self.rule(f"%json {json.dumps(schema)}")

    def is_marker(self, text: str) -> bool:
        return text in self._markers

    def anything(self) -> str:
        """Any text without markers, or none."""
        return f"{self.rule(SOMETHING)}?"

    def until(self, end: str, max_tokens: int | None = None) -> str:
        """Anything up to this text, and the text. max_tokens: behind so many the text must come, if it is a marker: of
        one that is written out nobody could say where it begins."""
        end_itself = end.strip()
        if not self.is_marker(end_itself):
            return self.rule(ANYTHING, f"[suffix={json.dumps(end, ensure_ascii=False)}]")
        limit = f"[max_tokens={max_tokens}]" if max_tokens is not None else ""
        return f"{self.rule(SOMETHING, limit)}? {self._terminal(end_itself)}"

    def without(self, *texts: str) -> str:
        """Anything that holds none of these; nothing, too."""
        written = [_escaped(text) for text in texts if text not in self._markers]
        excluded = "".join(f" & ~/(?s:.*){text}(?s:.*)/" for text in written)
        name = f"TEXT_{len(self._rules)}"
        self._rules[name] = f": {ANYTHING}{excluded}"
        return name

    def several(self, one: str, between: str, is_parallel: bool) -> str:
        """One at least."""
        if not is_parallel:
            return one
        return f"{one} ({self.literal(between)} {one}){{0,{MAX_CALLS - 1}}}"

    def _pieces(self, part: str) -> tuple[str, ...]:
        """White space that comes first by itself: what may follow it otherwise is not yet decided there."""
        if self.is_marker(part):
            return (part,)
        rest = part.lstrip()
        return part[: len(part) - len(rest)], rest

    def _terminal(self, part: str) -> str:
        token = self._markers.get(part)
        return f"<[{token}]>" if token is not None else json.dumps(part, ensure_ascii=False)


def _escaped(text: str) -> str:
    return re.escape(text).replace("/", r"\/")
