"""The open conversation and the answers in progress. Writes to the history; knows no widget."""

import sqlite3
import time
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.conversation import Role, Turn, last_turns, title_from, to_messages, to_text
from app.errors import EngineError, RequestError
from app.history import FAULTS, why
from app.repetition import RepetitionWatch
from app.tools.call import Call
from app.tools.events import Decision
from backends.protocol import Failed, FailureKind, Finish, Generate, Output, Overflow, Priority, SamplingParams
from ui.bridge import Answer
from ui.engine_desk import EngineDesk
from ui.tool_run import ToolRun

if TYPE_CHECKING:
    from app.services import Services

UNLOADED = "The model was unloaded before this answer ended."
CLOSED = "Slipstream was closed before this answer ended."
FULL = "The context{} is full, so this answer ends here."
SAVE_SECONDS = 1.0  # how much of an answer a killed app may lose

_unsaved_ids = count(-(1 << 62))  # of turns that no file knows


@dataclass
class Running:
    """One answer in progress."""

    conversation: int
    turn: Turn
    answer: Answer
    saved: float
    is_called_off: bool = False  # by the person
    circles: RepetitionWatch = field(default_factory=RepetitionWatch)


class ChatSession(QObject):
    opened = Signal()  # another conversation, or none; `turns` are new
    listed = Signal()  # the list of conversations has changed
    turn_added = Signal(object)  # Turn
    turns_removed = Signal(object)  # int, the first turn's id: it and all after it
    rerouted = Signal()  # another branch of the open conversation: `turns` are new from somewhere on
    turn_grew = Signal(object)  # Turn
    turn_ended = Signal(object)  # Turn
    advanced = Signal(object)  # Output, of whichever answer
    refused = Signal(str)  # a sentence: nothing was asked
    context_filled = Signal(str)  # a sentence: the open chat does not go on as it is
    repeated = Signal(object)  # Repetition, in the answer that runs in the open chat
    noted = Signal(str)  # a sentence on the tools of an answer that goes on
    called = Signal(object, object)  # the answer's Turn, and its calls: tuple of Call
    unkept = Signal(str)  # a sentence: the disk did not take something, or not give it
    returned = Signal(object)  # str: a question that could not be kept or asked: its writer gets it back
    busy_changed = Signal(bool)
    running_changed = Signal(object)  # frozenset[int]: conversations in which an answer is being written

    def __init__(self, services: "Services", desk: EngineDesk):
        super().__init__(desk)
        self._services = services
        self._history = services.history
        self._desk = desk
        self._running: dict[int, Running] = {}  # by conversation
        self._rolling: set[int] = set()  # conversations whose oldest messages are dropped where the context is full
        self._told: set[int] = set()  # turns of which it has been said that the disk does not take them
        self._unkept: set[int] = set()  # turns that no file knows
        self._retry_when_ready: int | None = None
        self.conversation: int | None = None
        self.turns: list[Turn] = []
        self.uses_tools = False  # the model may call tools in the answers to come
        self.completes = False  # with a base model: go on with the text, instead of a dialogue
        desk.changed.connect(self._retry_if_ready)

    @property
    def is_busy(self) -> bool:
        return self.conversation in self._running

    def start_new(self) -> None:
        self.conversation, self.turns = None, []
        self._tell_opened()

    def open(self, conversation: int) -> None:
        try:
            turns = self._history.turns(conversation)
        except FAULTS as error:
            self.unkept.emit(f"The chat could not be read: {why(error)}.")
            return
        self.conversation = conversation
        running = self._running.get(conversation)
        self.turns = [running.turn if running and turn.id == running.turn.id else turn for turn in turns]
        self._tell_opened()

    def reload(self) -> None:
        """Its tree has been changed, and no answer runs in it."""
        if self.conversation is None:
            return
        try:
            self.turns = self._history.turns(self.conversation)
        except FAULTS as error:
            self.unkept.emit(f"The chat could not be read: {why(error)}.")
            return
        self.rerouted.emit()
        self.listed.emit()

    def can_ask(self, text: str, turns: list[Turn]) -> bool:
        """After these turns; where its length alone says that it cannot fit, that is told."""
        try:
            self._desk.check(self._request([*turns, Turn(0, Role.USER, text, 0.0)]))
        except RequestError as error:
            self._tell_refusal(error)
            return False
        return True

    def forget(self, conversation: int) -> None:
        """The conversation is being deleted: stop what runs in it and leave it."""
        self.stop(conversation)
        self._running.pop(conversation, None)
        self._tell_running()
        if self.conversation == conversation:
            self.start_new()

    def ask(self, text: str) -> None:
        """Append the question and begin the answer."""
        if self.is_busy or not text.strip():
            return
        if not self.can_ask(text, self.turns):
            self.returned.emit(text)
            return
        try:
            if self.conversation is None:
                self.conversation = self._history.create(title_from(text)).id
            turn = self._history.append(self.conversation, Role.USER, text, parent=self._last_kept())
        except FAULTS as error:
            self.unkept.emit(f"The question could not be saved: {why(error)}.")
            self.returned.emit(text)
            return
        self._add(turn)
        self.listed.emit()
        self.answer()

    def stop(self, conversation: int | None = None) -> None:
        running = self._running.get(conversation or self.conversation or 0)
        if running:
            running.is_called_off = True
            self._desk.abort(running.answer)

    def decide(self, call_id: str, decision: Decision) -> None:
        """Of a call that waits in the open chat."""
        running = self._running.get(self.conversation or 0)
        if running and isinstance(running.answer, ToolRun):
            running.answer.decide(call_id, decision)

    def calls(self) -> tuple[Call, ...]:
        """Of the answer that runs in the open chat."""
        running = self._running.get(self.conversation or 0)
        return running.answer.calls if running and isinstance(running.answer, ToolRun) else ()

    def try_again(self) -> None:
        """Ask for another answer beside the last one, or for the first; while the engine restarts, as soon as it is
        back. An answer that never began goes."""
        if self.is_busy or not self.turns:
            return
        if self._desk.is_loading:
            self._retry_when_ready = self.conversation
            return
        if self.turns[-1].role is Role.ASSISTANT:
            last = self.turns.pop()
            if not last.text and not last.steps:
                self._drop(last)
            self.turns_removed.emit(last.id)
        self.answer()

    def roll(self) -> None:
        """Let this chat go on in a full context: what is oldest is dropped of what the model reads, not of the chat."""
        if self.conversation is not None:
            self._rolling.add(self.conversation)
            self.try_again()

    def start_with_last(self) -> None:
        """A new chat that begins with the end of this one, which stays; a question without an answer is asked there."""
        last = last_turns(self.turns)
        try:
            conversation = self._history.create(title_from(last[0].text)).id
            for turn in last:
                self._history.append(conversation, turn.role, turn.text, turn.model)
        except FAULTS as error:
            self.unkept.emit(f"The new chat could not be saved: {why(error)}.")
            return
        self.open(conversation)
        self.listed.emit()
        if last[-1].role is Role.USER:
            self.answer()

    def close(self) -> None:
        """Save what is there; the engine is told to stop."""
        for running in list(self._running.values()):
            self._desk.abort(running.answer)
            self._save(replace(running.turn, timings=None, problem=CLOSED))
        self._running.clear()

    def answer(self) -> None:
        """Begin one to what is shown."""
        if self._desk.is_resting:
            self._retry_when_ready = self.conversation
            self._desk.reload()
            return
        request = self._request(self.turns)
        try:
            answer = self._submit(request)
        except (EngineError, RequestError) as error:
            self._tell_refusal(error)
            return
        assert self.conversation is not None
        turn = self._begin_turn(self.conversation, request.sampling)
        running = Running(self.conversation, turn, answer, time.monotonic())
        self._running[self.conversation] = running
        self._tell_running()
        answer.grew.connect(partial(self._grow, running))
        if isinstance(answer, ToolRun):
            answer.noted.connect(self.noted)
            answer.called.connect(partial(self._show_calls, running))
        answer.failed.connect(partial(self._fail, running))
        self._add(turn)
        self.busy_changed.emit(True)

    def _submit(self, request: Generate) -> Answer:
        """Raises EngineError, RequestError."""
        if self.uses_tools and self._desk.takes_tools:
            return self._desk.submit_with_tools(request)
        return self._desk.submit(request)

    def _show_calls(self, running: Running) -> None:
        if running.conversation == self.conversation and isinstance(running.answer, ToolRun):
            self.called.emit(running.turn, running.answer.calls)

    def _tell_refusal(self, error: EngineError | RequestError) -> None:
        is_full = isinstance(error, RequestError) and error.kind is FailureKind.CONTEXT_LENGTH
        (self.context_filled if is_full else self.refused).emit(str(error))

    def _begin_turn(self, conversation: int, sampling: SamplingParams) -> Turn:
        """Without room for its row the answer is shown all the same."""
        try:
            return self._history.append(
                conversation, Role.ASSISTANT, "", self._desk.name, sampling, parent=self._last_kept()
            )
        except FAULTS as error:
            self.unkept.emit(f"The answer is shown, but it cannot be saved: {why(error)}.")
            turn = Turn(next(_unsaved_ids), Role.ASSISTANT, "", time.time(), self._desk.name, sampling=sampling)
            self._told.add(turn.id)
            self._unkept.add(turn.id)
            return turn

    def _last_kept(self) -> int | None:
        """Of the turns that are shown: some may be on no disk."""
        return next((turn.id for turn in reversed(self.turns) if turn.id not in self._unkept), None)

    def _drop(self, turn: Turn) -> None:
        try:
            self._history.delete_turns_from(turn.id)
        except KeyError:
            pass  # it was never saved
        except sqlite3.Error as error:
            self.unkept.emit(f"The answer before stays in the saved chat: {why(error)}.")

    def _request(self, turns: list[Turn]) -> Generate:
        settings = self._services.settings
        request = Generate(
            to_messages(turns, settings.system_prompt),
            sampling=SamplingParams(temperature=settings.temperature),
            priority=Priority.WINDOW,
            overflow=Overflow.ROLL if self.conversation in self._rolling else Overflow.ERROR,
        )
        if self.completes and self._desk.is_base:
            return replace(request, prompt=to_text(turns), special=False)  # a person wrote it: text, no markers
        return request

    def _grow(self, running: Running, output: Output) -> None:
        if self._running.get(running.conversation) is not running:
            return
        running.turn = replace(running.turn, text=running.turn.text + output.text)
        self._show_change(running)
        self.advanced.emit(output)
        if output.finish:
            self._end(running, output)
            return
        self._save_now_and_then(running)
        found = running.circles.look(running.turn.text)
        if running.conversation == self.conversation:
            self.turn_grew.emit(running.turn)
            if found:
                self.repeated.emit(found)

    def _end(self, running: Running, last: Output) -> None:
        is_stopped = last.finish is Finish.ABORT and running.is_called_off
        problem = last.problem
        if last.finish is Finish.ABORT and not is_stopped:
            problem = UNLOADED
        elif last.finish is Finish.LENGTH and not problem:  # the window sets no limit of its own
            problem = self._context_is_full(running)
        self._close(running, replace(running.turn, timings=last.timings, stopped=is_stopped, problem=problem))

    def _fail(self, running: Running, failed: Failed) -> None:
        if self._running.get(running.conversation) is not running:
            return
        self._close(running, replace(running.turn, problem=failed.message))
        if failed.kind is FailureKind.CONTEXT_LENGTH:
            self.context_filled.emit(failed.message)

    def _context_is_full(self, running: Running) -> str:
        ready = self._desk.snapshot.ready if self._desk.snapshot else None
        sentence = FULL.format(f" of {ready.context:,} tokens" if ready else "")
        if running.conversation == self.conversation:
            self.context_filled.emit(sentence)
        return sentence

    def _close(self, running: Running, turn: Turn) -> None:
        """Its account is that of its last output: what was told at its beginning is not true of all of it."""
        if isinstance(running.answer, ToolRun):
            turn = replace(turn, steps=running.answer.steps)
        running.turn = turn
        self._show_change(running)
        del self._running[running.conversation]
        running.answer.deleteLater()
        self._save(turn)
        self._tell_running()
        if running.conversation == self.conversation:
            self.turn_ended.emit(turn)
            self.busy_changed.emit(False)
        else:
            self._mark_unread(running.conversation)

    def _tell_running(self) -> None:
        self.running_changed.emit(frozenset(self._running))

    def _mark_unread(self, conversation: int) -> None:
        try:
            self._history.mark(conversation, True)
        except FAULTS:
            return  # who saves the answer is told of the disk
        self.listed.emit()

    def _show_change(self, running: Running) -> None:
        if running.conversation == self.conversation:
            self.turns[-1] = running.turn

    def _save_now_and_then(self, running: Running) -> None:
        if time.monotonic() - running.saved >= SAVE_SECONDS:
            running.saved = time.monotonic()
            self._save(running.turn)  # without an account, which an answer that a kill cuts off never gets

    def _save(self, turn: Turn) -> None:
        """A full disk costs the copy on disk, not the answer that is being read. Told once for each answer."""
        update = partial(self._history.update, turn.id, text=turn.text, timings=turn.timings, steps=turn.steps)
        try:
            update(stopped=turn.stopped, problem=turn.problem)
        except FAULTS as error:
            if turn.id not in self._told:
                self._told.add(turn.id)
                self.unkept.emit(f"The answer could not be saved: {why(error)}.")

    def _retry_if_ready(self) -> None:
        if self._retry_when_ready is None or not self._desk.is_ready:
            return
        wanted, self._retry_when_ready = self._retry_when_ready, None
        if wanted == self.conversation:
            self.try_again()

    def _add(self, turn: Turn) -> None:
        self.turns.append(turn)
        self.turn_added.emit(turn)

    def _tell_opened(self) -> None:
        self.opened.emit()
        self.busy_changed.emit(self.is_busy)
