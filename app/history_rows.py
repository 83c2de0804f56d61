"""From rows of the chats to values. A file can say anything; what cannot be shown becomes a turn that says why."""

import json
import math
from dataclasses import asdict, fields
from typing import Any, TypeVar

from app.conversation import ConversationInfo, Role, Turn
from app.shaped import shaped
from backends.messages import ToolCall
from backends.protocol import CacheMiss, Message, SamplingParams, Timings

T = TypeVar("T")
LATEST = 253_370_764_800.0  # the year 9999, where dates end
MAX_TITLE = 1000  # characters
MAX_JSON = 64 << 10  # characters of an answer's account, or of its sampling
INFO_COLUMNS = "id, title, updated, folder, pinned, unread"
TURN_COLUMNS = "id, role, text, created, model, timings, stopped, problem, parent, reasoning, sampling, edited, steps"
MAX_COUNT = 1 << 53
MAX_STEPS = 256  # messages of one answer
MAX_STEPS_JSON = 16 << 20  # characters
ROLES = {role.value: role for role in Role}
MISSES = {miss.value: miss for miss in CacheMiss}
COUNTS = [field.name for field in fields(Timings) if type(field.default) is int]
TIMES = [field.name for field in fields(Timings) if type(field.default) is float]
MENDED = "Some of its bytes were damaged on the disk."


class Mended(str):
    """A text of which some bytes were none."""


def text_from(content: bytes) -> str:
    """For SQLite: one bad byte costs one character, not the row and all others with it."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return Mended(content.decode("utf-8", "replace"))


def storable(value: T) -> T:
    """Half a character, as a paste can hold it, is none for a file."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value  # type: ignore[return-value]


def info_from(row: tuple[Any, ...]) -> ConversationInfo:
    """Of INFO_COLUMNS."""
    row_id, title, updated, folder, pinned, unread = row
    name = _text(folder)[:MAX_TITLE].strip() or None
    return ConversationInfo(row_id, _text(title)[:MAX_TITLE], moment(updated), name, bool(pinned), bool(unread))


def turn_from(row: tuple[Any, ...]) -> Turn:
    """Of TURN_COLUMNS."""
    turn_id, role, text, created, model, timings, stopped, problem, parent, reasoning, sampling, edited, steps = row
    if not isinstance(text, str):
        return unreadable(turn_id, "it is no text", parent=parent)
    if role not in ROLES:
        return unreadable(turn_id, "nobody knows who wrote it", text, parent)
    return Turn(
        turn_id,
        ROLES[role],
        str(text),
        moment(created),
        None if model is None else _text(model)[:MAX_TITLE],
        timings_from(_document(timings)),
        bool(stopped),
        MENDED if isinstance(text, Mended) else None if problem is None else _text(problem),
        parent,
        _text(reasoning) or None,
        sampling_from(_document(sampling)),
        bool(edited),
        steps_from(_document(steps, MAX_STEPS_JSON)),
    )


def row_of(turn: Turn) -> dict[str, Any]:
    """By column, but for its id and parent, which a file gives."""
    return {
        "role": turn.role.value,
        "text": storable(turn.text),
        "created": turn.created,
        "model": storable(turn.model),
        "timings": json_of(turn.timings),
        "stopped": turn.stopped,
        "problem": storable(turn.problem),
        "reasoning": storable(turn.reasoning),
        "sampling": json_of(turn.sampling),
        "edited": turn.is_edited,
        "steps": json_of_steps(turn.steps),
    }


def json_of(value: Timings | SamplingParams | None) -> str | None:
    return None if value is None else json.dumps(asdict(value))


def json_of_steps(steps: tuple[Message, ...]) -> str | None:
    return json.dumps([asdict(step) for step in steps[:MAX_STEPS]]) if steps else None


def unreadable(turn_id: int, why: str, text: str = "", parent: int | None = None) -> Turn:
    """Shown in the place of what was there, which stays in the file."""
    problem = f"This message is damaged on the disk: {why}."
    return Turn(turn_id, Role.ASSISTANT, text, 0.0, problem=problem, parent=parent)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def moment(value: Any) -> float:
    """Seconds since the epoch that a calendar knows."""
    is_number = type(value) in (int, float) and math.isfinite(value)
    return min(max(float(value), 0.0), LATEST) if is_number else 0.0


def timings_from(document: Any) -> Timings | None:
    """Of one answer. Fields that this version does not know, lacks or cannot use do no harm."""
    if not isinstance(document, dict):
        return None
    values = {name: document[name] for name in COUNTS if _is_count(document.get(name), (int,))}
    values |= {name: document[name] for name in TIMES if _is_count(document.get(name), (int, float))}
    miss = document.get("cache_miss")
    return Timings(**values, cache_miss=MISSES.get(miss) if isinstance(miss, str) else None)


def sampling_from(document: Any) -> SamplingParams | None:
    """None for what cannot have been one: half of it would tell a wrong story of an answer."""
    try:
        return shaped(SamplingParams, document) if isinstance(document, dict) else None
    except (TypeError, ValueError, LookupError):
        return None


def steps_from(document: Any) -> tuple[Message, ...]:
    """None at all where one of them is damaged: a call without its result is refused by templates."""
    if not isinstance(document, list) or len(document) > MAX_STEPS:
        return ()
    try:
        return tuple(_step_from(entry) for entry in document)
    except (TypeError, ValueError, LookupError):
        return ()


def _step_from(entry: Any) -> Message:
    calls = [ToolCall(*(_words(call[name]) for name in ("id", "name", "arguments"))) for call in entry["tool_calls"]]
    role = _words(entry["role"])
    if role not in ("assistant", "tool"):
        raise ValueError(role)
    names = (entry.get(name) for name in ("tool_call_id", "name", "reasoning"))
    return Message(role, _words(entry["content"]), tuple(calls), *(name and _words(name) for name in names))


def _words(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return storable(value)


def _document(column: Any, most: int = MAX_JSON) -> Any:
    """The JSON of a column; None for what is none."""
    if not isinstance(column, str) or len(column) > most:
        return None
    try:
        return json.loads(column)
    except (ValueError, RecursionError):
        return None


def _is_count(value: Any, kinds: tuple[type, ...]) -> bool:
    return type(value) in kinds and 0 <= value <= MAX_COUNT  # as no NaN does
