"""One answer with tools: the model speaks, calls, is given the results, and speaks again. Knows no window.

All of it happens on one thread, which waits for one queue: the engine's words, a person's decisions, results, the stop.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from app.errors import RequestError, SettingsError, SlipstreamError
from app.inference.answers import Sink
from app.tools.events import Decision, Ended, Event, Noted, Proposed, Returned, Said, Started
from app.tools.servers import Permission
from app.tools.tool import LEAST_TEXT, MAX_TEXT, Outcome
from app.tools.toolbox import Offer, Offered, Toolbox
from app.tools.turn import Turn
from backends.bounds import as_name
from backends.protocol import (
    AS_IT_LIKES,
    Calling,
    Failed,
    Finish,
    Generate,
    Message,
    Output,
    Progress,
    Ready,
    ToolCall,
    ToolChoice,
)

MAX_ROUNDS = 8  # of calls, before the model has to answer with what it knows
MAX_CALLS = 16  # that are run of one round
CALL_SECONDS = 30.0
NOT_MADE_FOR_TOOLS = (
    "This model's chat template knows no tools: they are described to it in the prompt, and it may not call them well."
)
NO_CHAT = "This model has no chat template, so it is offered no tools."
_log = logging.getLogger(__name__)


class Engine(Protocol):
    """As app.inference.engine_handle has it."""

    def submit(self, request: Generate, sink: Sink) -> int: ...

    def abort(self, uid: int) -> None: ...


@dataclass(frozen=True, slots=True)
class _Decided:
    call_id: str
    decision: Decision


class _Stop(Exception):
    """The person has stopped the answer: in the queue a message, on the thread the way out."""


class ToolAnswer:
    """tell: hears every Event, on the answer's own thread, and last an Ended. ready: of the model that answers.

    seconds: that one call may take. rounds: of calls, at most.
    """

    def __init__(
        self,
        engine: Engine,
        ready: Ready,
        toolbox: Toolbox,
        tell: Callable[[Event], None],
        *,
        seconds: float = CALL_SECONDS,
        rounds: int = MAX_ROUNDS,
    ):
        self._engine = engine
        self._ready = ready
        self._toolbox = toolbox
        self._tell = tell
        self._seconds = seconds
        self._rounds = rounds
        # a quarter of the context at four characters a token: a page that fills all of it leaves none for an answer
        self._max_text = min(MAX_TEXT, max(LEAST_TEXT, ready.context))
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._stopped = threading.Event()
        self._added: list[Message] = []
        self._thread: threading.Thread | None = None

    def begin(self, request: Generate) -> None:
        """Without waiting. request: with a chat for its prompt; its tools are the toolbox's. Once."""
        self._thread = threading.Thread(target=self._run, args=(request,), name="tool-answer", daemon=True)
        self._thread.start()

    def decide(self, call_id: str, decision: Decision) -> None:
        """Of a call that was Proposed and waits for it. Others are ignored."""
        self._inbox.put(_Decided(call_id, decision))

    def stop(self) -> None:
        """Whatever it does at the moment. The Ended comes soon, with what there is until then."""
        self._stopped.set()
        self._inbox.put(_Stop())

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it has ended."""
        if self._thread:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _run(self, request: Generate) -> None:
        finish, problem = None, None
        try:
            finish = self._answer(request)
        except _Stop:
            finish = Finish.ABORT
        except SlipstreamError as error:
            problem = str(error)
        except Exception as error:  # the edge: whoever waits for the end must hear of it
            _log.exception("an answer with tools failed")
            problem = f"The answer broke off ({type(error).__name__}). Try again; the log says more."
        self._tell(Ended(tuple(self._added), finish, problem))

    def _answer(self, request: Generate) -> Finish:
        """Raises SlipstreamError, or _Stop."""
        offer = self._offer(request)
        request = replace(request, tools=tuple(each.told() for each in offer.tools), is_parsed=True)
        if not offer.tools:
            request = replace(request, tool_choice=AS_IT_LIKES)
        for number in range(self._rounds + 1):
            if number == self._rounds:
                self._tell(Noted(f"Tools were called in {number} rounds, which is the most: the model answers now."))
                request = replace(request, tool_choice=ToolChoice(Calling.NONE))
            turn = self._say(number, request)
            message = turn.message()
            self._added.append(message)
            if turn.finish is Finish.ABORT or not message.tool_calls:
                return turn.finish
            results = self._settle(message.tool_calls, offer)
            request = _followed(request, message, results)
        return turn.finish

    def _offer(self, request: Generate) -> Offer:
        if self._ready.is_base or not isinstance(request.prompt, tuple):
            self._tell(Noted(NO_CHAT))
            return Offer()
        offer = self._toolbox.offer(self._stopped)
        if self._stopped.is_set():
            raise _Stop
        if offer.tools and not self._ready.takes_tools:
            self._tell(Noted(NOT_MADE_FOR_TOOLS))
        for problem in offer.problems:
            self._tell(Noted(problem))
        return offer

    def _say(self, number: int, request: Generate) -> Turn:
        """What the model says until it stops. Raises SlipstreamError."""
        if self._stopped.is_set():
            raise _Stop
        turn = Turn()
        uid = self._engine.submit(request, self._inbox.put)
        while True:
            event = self._inbox.get()
            if isinstance(event, Output | Failed | Progress) and event.uid != uid:
                continue
            match event:
                case Output():
                    turn.add(event)
                    self._tell(Said(number, event))
                    if event.finish is not None:
                        return turn
                case Progress():
                    self._tell(event)
                case Failed():
                    if turn.has_begun:
                        self._added.append(turn.message())
                    raise RequestError(event.kind, event.message, event.numbers, event.about)
                case _Stop():
                    self._engine.abort(uid)

    def _settle(self, calls: Iterable[ToolCall], offer: Offer) -> tuple[Message, ...]:
        """The results of all calls, in their order. Every call gets one, as templates want: also when it is stopped."""
        results: list[Message] = []
        for number, call in enumerate(calls):
            if self._stopped.is_set():
                outcome, seconds = Outcome("Stopped by the person.", is_error=True), 0.0
            elif number >= MAX_CALLS:
                outcome, seconds = Outcome(f"Not run: one turn may have at most {MAX_CALLS} calls.", is_error=True), 0.0
            else:
                outcome, seconds = self._result(call, offer)
            outcome = outcome.within(self._max_text)
            self._tell(Returned(call.id, outcome, seconds))
            results.append(Message("tool", outcome.text, tool_call_id=call.id, name=call.name))
        self._added += results
        return tuple(results)

    def _result(self, call: ToolCall, offer: Offer) -> tuple[Outcome, float]:
        """And the seconds that it took to run."""
        offered = offer.find(call.name)
        permission = self._toolbox.permission(offered) if offered else Permission.NEVER
        arguments = _arguments(call)
        asks = permission is Permission.ASK and arguments is not None
        self._tell(Proposed(call, offered, asks))
        if offered is None:
            names = ", ".join(each.name for each in offer.tools)
            return Outcome(f"There is no tool “{as_name(call.name)}”. There are: {names}.", is_error=True), 0.0
        if arguments is None:
            return Outcome("The arguments are no JSON object. Call it again with one.", is_error=True), 0.0
        try:
            if permission is Permission.NEVER or (asks and not self._is_allowed(call, offered)):
                return Outcome("The person did not allow this call.", is_error=True), 0.0
            return self._called(call, offered, arguments)
        except _Stop:
            return Outcome("Stopped by the person.", is_error=True), 0.0

    def _is_allowed(self, call: ToolCall, offered: Offered) -> bool:
        """Waits for the person. Raises _Stop."""
        while True:
            match self._inbox.get():
                case _Decided(call_id=call.id, decision=decision):
                    if decision is Decision.ALWAYS:
                        self._allow(offered)
                    return decision is not Decision.DENY
                case _Stop() as stop:
                    raise stop

    def _allow(self, offered: Offered) -> None:
        try:
            self._toolbox.allow(offered, Permission.ALWAYS)
        except SettingsError as error:
            self._tell(Noted(str(error)))

    def _called(self, call: ToolCall, offered: Offered, arguments: dict[str, Any]) -> tuple[Outcome, float]:
        """Raises _Stop."""
        self._tell(Started(call.id))
        begin = time.monotonic()
        future = offered.tool.start(arguments)
        future.add_done_callback(self._inbox.put)
        outcome = self._awaited(future, begin + self._seconds)
        return outcome, time.monotonic() - begin

    def _awaited(self, future: "Future[Outcome]", deadline: float) -> Outcome:
        """Raises _Stop."""
        while True:
            try:
                event = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                future.cancel()
                return Outcome(f"The tool did not answer within {self._seconds:g} s and was called off.", is_error=True)
            if isinstance(event, _Stop):
                future.cancel()
                raise event
            if event is future:
                break
        try:
            outcome: Outcome = future.result(0)
            return outcome
        except CancelledError:
            return Outcome("The connection to the tool's server ended.", is_error=True)


def _arguments(call: ToolCall) -> dict[str, Any] | None:
    """None for what is no object."""
    try:
        value = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _followed(request: Generate, message: Message, results: tuple[Message, ...]) -> Generate:
    """The question that goes on where the calls ended. A call that was demanded is made by then."""
    assert isinstance(request.prompt, tuple)
    before = tuple(turn for turn in request.prompt if isinstance(turn, Message))
    if request.continues:  # the message before was the beginning of this one
        message = replace(message, content=before[-1].content + message.content)
        before = before[:-1]
    return replace(request, prompt=(*before, message, *results), continues=False, tool_choice=AS_IT_LIKES)
