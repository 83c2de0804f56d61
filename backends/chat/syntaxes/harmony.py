"""Whole answers as gpt-oss writes them: messages in channels. `analysis` is reasoning, `final` the answer, and a
recipient makes a call of it (github.com/openai/harmony)."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from backends.chat.constraint import Constraint
from backends.chat.json_text import read_value
from backends.chat.reader import Broken, Steps, Stops
from backends.chat.schemas import parameters_of, rooted
from backends.chat.syntax import Parsing
from backends.messages import Tool, ToolCall

START, CHANNEL, MESSAGE, CONSTRAIN = "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"
END, CALL, RETURN = "<|end|>", "<|call|>", "<|return|>"
ENDS = Stops((END, CALL, RETURN, START, CHANNEL))
HEADS = Stops((MESSAGE, END, CALL, RETURN))
MAX_HEAD = 512  # characters before a message
FUNCTIONS = "functions."
RECIPIENT = re.compile(r"to=([^\s<]+)")
CHANNEL_NAME = re.compile(re.escape(CHANNEL) + r"\s*(\w+)")
THOUGHTS, FINAL = "analysis", "final"


@dataclass(frozen=True, slots=True)
class Harmony:
    openers: tuple[str, ...] = ()
    firsts: str = ""
    texts: tuple[str, ...] = (START, CHANNEL, MESSAGE, CONSTRAIN, END, CALL, RETURN)

    def read_answer(self, parsing: Parsing) -> Steps[None]:
        reader = parsing.reader
        if (yield from reader.peek()) not in ("<", " "):  # an answer without channels
            yield from self._read_text(parsing, parsing.telling.text)
        while (yield from reader.peek()):
            try:
                yield from self.read(parsing)
            except Broken:
                parsing.telling.break_off()
                yield from self._read_text(parsing, parsing.telling.text)

    def read(self, parsing: Parsing) -> Steps[None]:
        """One message. Raises Broken."""
        reader, telling = parsing.reader, parsing.telling
        head = yield from self._read_head(parsing)
        recipient = RECIPIENT.search(head)
        if recipient:
            name = recipient[1].removeprefix(FUNCTIONS)
            yield from reader.skip_white()
            if (yield from reader.peek()) != "{":
                raise Broken
            telling.begin(name)
            yield from read_value(reader, telling.argue)
            yield from reader.skip_white()
            if (yield from reader.peek()):
                yield from reader.expect(*ENDS.texts)
            telling.end_call()
            return
        telling.drop_call()
        telling.markup()
        channel = CHANNEL_NAME.search(head)
        is_thought = channel is not None and channel[1] == THOUGHTS
        yield from self._read_text(parsing, telling.thought if is_thought else telling.text)

    def write(self, calls: Sequence[ToolCall]) -> str:
        heads = (f" to={FUNCTIONS}{call.name}{CHANNEL}commentary json{MESSAGE}" for call in calls)
        texts = (f"{head}{call.arguments or '{}'}{CALL}" for head, call in zip(heads, calls, strict=True))
        return f"{START}assistant".join(texts)

    def constrain(self, constraint: Constraint, tools: Iterable[Tool], is_parallel: bool) -> str:
        """It ends with the call, whose mark ends the answer. Parallel calls are not known to this format."""
        del is_parallel
        calls = " | ".join(f"({self._constrained(constraint, tool)})" for tool in tools)
        return f"({calls})"

    def thoughts(self, constraint: Constraint) -> str:
        """What may come before a call."""
        head = constraint.literal(f"{CHANNEL}{THOUGHTS}{MESSAGE}")
        return f"({head} {constraint.until(END)} {constraint.literal(f'{START}assistant')})?"

    def final(self, constraint: Constraint) -> str:
        """What comes before an answer."""
        return constraint.literal(f"{CHANNEL}{FINAL}{MESSAGE}")

    def _constrained(self, constraint: Constraint, tool: Tool) -> str:
        head = f"{CHANNEL}commentary to={FUNCTIONS}{tool.name} {CONSTRAIN}json{MESSAGE}"
        return f"{constraint.literal(head)} {constraint.json(rooted(parameters_of(tool), [tool]))}"

    def _read_head(self, parsing: Parsing) -> Steps[str]:
        """Raises Broken where no message follows, or not soon."""
        reader = parsing.reader
        parsing.telling.open_call()
        pieces, begin = list[str](), reader.num_read

        def keep(text: str) -> None:
            pieces.append(text)
            if reader.num_read - begin > MAX_HEAD:
                raise Broken

        if (yield from reader.until(HEADS, keep)) is None:
            raise Broken
        if (yield from reader.expect(*HEADS.texts)) != MESSAGE:
            raise Broken
        return "".join(pieces)

    def _read_text(self, parsing: Parsing, tell: Callable[[], None]) -> Steps[None]:
        end = yield from parsing.reader.until(ENDS, lambda _: tell())
        if end in (END, CALL, RETURN):
            yield from parsing.reader.expect(end)
        if end:
            parsing.telling.markup()
