"""The calls of one answer as a person reads them, live or out of a saved chat. Knows no window."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from app.tools.events import Event, Proposed, Returned, Started
from app.tools.tool import Outcome
from backends.protocol import Message, ToolCall


class CallState(StrEnum):
    PROPOSED = "proposed"  # nobody has to decide, and it does not run yet
    WAITING = "waiting"  # for the person
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Call:
    """source: the server's name; None where it is not known. begun: by time.monotonic, while it runs; seconds: that it
    took."""

    id: str
    name: str
    arguments: str
    source: str | None = None
    state: CallState = CallState.PROPOSED
    outcome: Outcome | None = None
    begun: float = 0.0
    seconds: float = 0.0

    @property
    def formatted(self) -> str:
        """The arguments as JSON of several lines; as the model wrote them where they are none."""
        try:
            return json.dumps(json.loads(self.arguments or "{}"), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            return self.arguments


def followed(calls: tuple[Call, ...], event: Event) -> tuple[Call, ...]:
    """What an event makes of them. Ids are the model's: of two that are alike the newer one is meant."""
    match event:
        case Proposed(call=call, offered=offered, needs_decision=needs_decision):
            state = CallState.WAITING if needs_decision else CallState.PROPOSED
            return (*calls, _of(call, offered.source if offered else None, state))
        case Started(call_id=call_id):
            return _changed(calls, call_id, state=CallState.RUNNING, begun=time.monotonic())
        case Returned(call_id=call_id, outcome=outcome, seconds=seconds):
            return _changed(calls, call_id, state=CallState.ENDED, outcome=outcome, seconds=seconds)
    return calls


def calls_of(steps: Sequence[Message]) -> tuple[Call, ...]:
    """Out of a saved answer."""
    calls: tuple[Call, ...] = ()
    for step in steps:
        calls += tuple(_of(call, None, CallState.PROPOSED) for call in step.tool_calls)
        if step.tool_call_id is not None:
            calls = _changed(calls, step.tool_call_id, state=CallState.ENDED, outcome=Outcome(step.content))
    return calls


def _of(call: ToolCall, source: str | None, state: CallState) -> Call:
    return Call(call.id, call.name, call.arguments, source, state)


def _changed(calls: tuple[Call, ...], call_id: str, **values: object) -> tuple[Call, ...]:
    for number in reversed(range(len(calls))):
        if calls[number].id == call_id and calls[number].state is not CallState.ENDED:
            return (*calls[:number], replace(calls[number], **values), *calls[number + 1 :])  # type: ignore[arg-type]
    return calls
