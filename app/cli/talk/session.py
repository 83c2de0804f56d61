"""The conversation: what was said so far, one question after the other, and an engine that may die in between."""

from collections.abc import Callable

from app.cli.progress import ProgressLine
from app.cli.talk.answer import LOOK_SECONDS, Said, answer, told, told_of_limit
from app.cli.talk.choices import Choices
from app.cli.talk.interrupts import Interrupts
from app.cli.terminal import stream, warn
from app.errors import Cancelled, EngineError
from app.inference.engine_handle import EngineHandle, EngineState
from app.inference.supervisor import Supervisor
from backends.protocol import Finish, Message, Ready


class Session:
    """Of one model, loaded under `name`. messages: without the system's."""

    def __init__(self, supervisor: Supervisor, name: str, interrupts: Interrupts, choices: Choices, system: str = ""):
        self.name = name
        self.choices = choices
        self.system = system
        self.is_verbose = False
        self.is_raw = False  # what is typed is completed, not answered
        self.messages: list[Message] = []
        self.interrupts = interrupts
        self._supervisor = supervisor

    def ready(self) -> Ready:
        """Once the model is loaded; one that is down for good is loaded anew. Raises EngineError or Cancelled."""
        handle = self._supervisor.get(self.name)
        if handle.snapshot.state in (EngineState.FAILED, EngineState.CLOSED) and handle.snapshot.ready:
            handle = self._supervisor.revive(handle)
        self._wait(handle)
        return handle.wait_ready(0.0)

    def complete(self, text: str, *, is_shown: bool = True) -> Said:
        """Goes on with a text as it is: no template around it, and no turn of the conversation."""
        return self._said(text, is_shown=is_shown)

    def ask(self, question: str, *, is_shown: bool = True) -> Said:
        """Shows the answer as it comes. What broke off before its first word is as if it had never been asked."""
        asked = [*self.messages, Message("user", question)]
        system = [Message("system", self.system)] if self.system.strip() else []
        said = self._said((*system, *asked), is_shown=is_shown)
        if said.text:
            self.messages = [*asked, Message("assistant", said.text)]
        return said

    def converse(self, question: str) -> None:
        """As `ask`, or `complete` when it is raw, with what a person should know of its end."""
        self.tell(self.complete(question) if self.is_raw else self.ask(question))

    def tell(self, said: Said) -> None:
        stream("\n" if said.text.endswith("\n") else "\n\n" if said.text else "")
        if said.problem:
            warn(said.problem)
        elif said.finish is Finish.LENGTH:
            warn(told_of_limit(said, self.ready().context))
        if self.is_verbose and said.timings:
            warn(told(said.timings))

    def _said(self, prompt: tuple[Message, ...] | str, *, is_shown: bool) -> Said:
        try:
            self.ready()
        except EngineError as error:
            return Said("", problem=str(error))
        request = self.choices.request(prompt)
        return answer(self._supervisor.get(self.name), request, self.interrupts, is_shown=is_shown)

    def _wait(self, handle: EngineHandle) -> None:
        line: ProgressLine | None = None
        try:
            while handle.snapshot.state is EngineState.LOADING:
                if self.interrupts.stop.wait(LOOK_SECONDS):
                    raise Cancelled("Stopped while the model was loading.")
                line = line or ProgressLine()
                line.tell(f"Loading {self.name}", handle.snapshot.fraction, "")
        finally:
            if line:
                line.close()


def loop(session: Session, read: Callable[[], str | None], obey: Callable[[str], bool]) -> None:
    """Until there is nothing more to read, or a command has ended it.

    read: the next message, None at the end. obey: a line that begins with a stroke; False ends the chat.
    """
    while not session.interrupts.leave.is_set():
        entry = read()
        if entry is None:
            return
        if entry.startswith("/"):
            if not obey(entry):
                return
        elif entry.strip():
            session.converse(entry)
