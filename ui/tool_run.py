"""One answer with tools, as the window sees it: its events, told in the GUI thread. Knows no widget."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PySide6.QtCore import Signal

from app.tools.answer import Engine, ToolAnswer
from app.tools.call import Call, followed
from app.tools.events import Decision, Ended, Event, Noted, Said
from app.tools.toolbox import Toolbox
from backends.protocol import Failed, FailureKind, Finish, Generate, Message, Output, Ready
from ui.bridge import Answer


class ToolRun(Answer):
    """Its outputs have no finish but the last one, whatever number of rounds they are from."""

    noted = Signal(str)  # a sentence that a person should know
    called = Signal()  # `calls` are others

    def __init__(self, tell: Callable[[Callable[[], None]], None], ended: Callable[[], None]):
        """tell: has something run in the GUI thread, in its order. ended: called once, on any thread."""
        super().__init__()
        self._tell = tell
        self._ended = ended
        self._answer: ToolAnswer | None = None
        self._round = 0
        self._has_text = False
        self._last = Output(0, "", 0)
        self.calls: tuple[Call, ...] = ()
        self.steps: tuple[Message, ...] = ()  # what the answer has added to the chat, once it has ended

    def begin(self, engine: Engine, ready: Ready, toolbox: Toolbox, request: Generate) -> None:
        self._answer = ToolAnswer(engine, ready, toolbox, self._hear)
        self._answer.begin(request)

    def decide(self, call_id: str, decision: Decision) -> None:
        if self._answer:
            self._answer.decide(call_id, decision)

    def stop(self) -> None:
        if self._answer:
            self._answer.stop()

    def _hear(self, event: Event) -> None:
        """On the answer's own thread."""
        if isinstance(event, Ended):
            self._ended()
        self._tell(partial(self._take, event))

    def _take(self, event: Event) -> None:
        match event:
            case Said():
                self._say(event)
            case Noted():
                self.noted.emit(event.sentence)
            case Ended():
                self._end(event)
            case _:
                calls = followed(self.calls, event)
                if calls != self.calls:
                    self.calls = calls
                    self.called.emit()

    def _say(self, said: Said) -> None:
        self._last = output = said.output
        text = output.text
        if text and said.round != self._round and self._has_text:
            text = f"\n\n{text}"
        if text:
            self._round, self._has_text = said.round, True
        self.grew.emit(replace(output, text=text, finish=None))

    def _end(self, ended: Ended) -> None:
        self.steps = ended.messages if any(message.tool_calls for message in ended.messages) else ()
        if ended.problem:
            self.failed.emit(Failed(None, FailureKind.INTERNAL, ended.problem))
            return
        self.grew.emit(replace(self._last, text="", num_tokens=0, parts=(), finish=ended.finish or Finish.STOP))
