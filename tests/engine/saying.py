"""An engine and who speaks for it, in one thread: news lies until a test has it told."""

from collections import deque

from backends.engine.engine import Engine
from backends.engine.news import News
from backends.engine.runner import LoadedModel
from backends.engine.teller import Teller
from backends.prompt_cache.state_store import StateStore
from backends.protocol import EngineOptions, Event, Failed, Output, Outputs


class Saying:
    """`engine`, and its teller. told: all events so far."""

    def __init__(self, model: LoadedModel, options: EngineOptions, store: StateStore | None = None):
        self.news: deque[News] = deque()
        self.stops: deque[int] = deque()  # found, and not handed to the engine yet
        self.told: list[Event] = []
        self._teller = Teller(model, self.stops.append)
        self.engine = Engine(model, options, store, self.news.append)

    def step(self) -> list[Output | Failed]:
        """One step, told at once."""
        self.engine.step()
        return self.tell_all()

    def tell_all(self) -> list[Output | Failed]:
        told: list[Output | Failed] = []
        while self.news:
            told += self.tell()
        while self.stops:
            self.engine.stop(self.stops.popleft())
        return told

    def tell(self) -> list[Output | Failed]:
        """The oldest news."""
        events = list(self._teller.events(self.news.popleft()))
        self.told += events
        words: list[Output | Failed] = []
        for event in events:
            words += event.outputs if isinstance(event, Outputs) else [event] if isinstance(event, Failed) else []
        return words
