"""One answer of an exchange, as far as it has come; and what several of them have cost together."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

from backends.protocol import (
    Arguments,
    CallBegun,
    CallBroken,
    CallEnded,
    Finish,
    Markup,
    Output,
    Part,
    Thought,
    Timings,
    TokenLogprob,
    ToolCall,
)


@dataclass(slots=True)
class Called:
    """A call of a tool, as far as it has come."""

    id: str
    name: str
    pieces: list[str] = field(default_factory=list)

    @property
    def whole(self) -> ToolCall:
        return ToolCall(self.id, self.name, "".join(self.pieces) or "{}")


@dataclass(slots=True)
class Choice:
    index: int
    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: dict[int, Called] = field(default_factory=dict)
    has_called: bool = False
    finish: Finish | None = None
    timings: Timings = field(default_factory=Timings)
    stop: str | None = None  # the stop string that ended it
    problem: str | None = None  # why it ended before its limit
    logprobs: list[TokenLogprob] = field(default_factory=list)  # not said yet
    num_thought: int = 0  # tokens of thoughts
    num_unsure: int = 0  # tokens whose text has not come yet, or only separates

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def thought(self) -> str:
        return "".join(self.thoughts)

    def take(self, output: Output) -> None:
        """All but what it says, which a stream tells and forgets."""
        self.count_thoughts(output)
        if output.parts:
            self.has_called = self.has_called or any(isinstance(part, CallEnded) for part in output.parts)
        if output.logprobs:
            self.logprobs += output.logprobs
        if output.timings:  # with the first, and with the last
            self.timings = output.timings
        if output.finish:
            self.finish, self.stop, self.problem = output.finish, output.stop, output.problem

    def count_thoughts(self, output: Output) -> None:
        """Text lags behind its tokens: they count with what comes of them."""
        if output.parts:
            self.num_unsure += output.num_tokens
            if any(isinstance(part, Thought) for part in output.parts):
                self.num_thought += self.num_unsure
                self.num_unsure = 0
            elif not all(isinstance(part, Markup) for part in output.parts):
                self.num_unsure = 0
        elif output.text:
            self.num_unsure = 0
        else:
            self.num_unsure += output.num_tokens

    def keep(self, output: Output) -> None:
        """What it says, too."""
        self.texts.append(output.text)
        for part in output.parts:
            if isinstance(part, Thought):
                self.thoughts.append(part.text)
            else:
                self.keep_call(part)

    def keep_call(self, part: Part) -> None:
        match part:
            case CallBegun():
                self.calls[part.index] = Called(part.id, part.name)
            case Arguments():
                self.calls[part.index].pieces.append(part.text)
            case CallBroken():
                self.calls.pop(part.index, None)

    def take_logprobs(self) -> tuple[TokenLogprob, ...]:
        taken = tuple(self.logprobs)
        self.logprobs.clear()
        return taken


def problem_of(choices: Sequence[Choice]) -> dict[str, str]:
    """Beside a finish reason of "length": no API has a field for why, and clients ignore what they do not know."""
    problem = next((choice.problem for choice in choices if choice.problem), None)
    return {"problem": problem} if problem else {}


def first_call_only(output: Output) -> Output:
    """Where no more than one is wanted, and the model has made several."""
    parts = (part for part in output.parts if not isinstance(part, CallBegun | Arguments | CallEnded) or not part.index)
    return replace(output, parts=tuple(parts))


def total(timings: Sequence[Timings]) -> Timings:
    """Counts and times of several answers together."""
    names = [f.name for f in fields(Timings) if f.name != "cache_miss"]
    sums = {name: sum(getattr(timing, name) for timing in timings) for name in names}
    return Timings(**sums, cache_miss=next((timing.cache_miss for timing in timings if timing.cache_miss), None))
