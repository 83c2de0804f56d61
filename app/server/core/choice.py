"""One answer of an exchange, as far as it has come; and what several of them have cost together."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from backends.protocol import Finish, Output, Timings, TokenLogprob


@dataclass(slots=True)
class Choice:
    index: int
    texts: list[str] = field(default_factory=list)
    finish: Finish | None = None
    timings: Timings = field(default_factory=Timings)
    stop: str | None = None  # the stop string that ended it
    logprobs: list[TokenLogprob] = field(default_factory=list)  # not said yet

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def take(self, output: Output) -> None:
        """All but its text, which a stream says and forgets."""
        self.logprobs += output.logprobs
        self.finish, self.stop = output.finish, output.stop
        self.timings = output.timings or self.timings

    def take_logprobs(self) -> tuple[TokenLogprob, ...]:
        taken = tuple(self.logprobs)
        self.logprobs.clear()
        return taken


def total(timings: Sequence[Timings]) -> Timings:
    """Counts and times of several answers together."""
    names = [f.name for f in fields(Timings) if f.name != "cache_miss"]
    sums = {name: sum(getattr(timing, name) for timing in timings) for name in names}
    return Timings(**sums, cache_miss=next((timing.cache_miss for timing in timings if timing.cache_miss), None))
